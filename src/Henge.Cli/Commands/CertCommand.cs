using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using Henge.Cli.Certificates;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;

namespace Henge.Cli.Commands;

/// <summary><c>henge cert</c>: certificates of a cluster. Asks no node.</summary>
internal static class CertCommand
{
    private const int MostDays = 36_500;

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<string> directory = new("--certs-dir")
        {
            Description = "The directory of the certificates and keys.",
            HelpName = "directory",
            DefaultValueFactory = static _ => "certs",
            Recursive = true,
        };
        Command command = new("cert", "Make, show and renew certificates for nodes and users.")
        {
            CreateCa(context, globals, directory),
            CreateNode(context, globals, directory),
            CreateClient(context, globals, directory),
            CertInspectCommand.Create(context, globals, directory),
            Renew(context, globals, directory),
        };
        command.Add(directory);
        return command;
    }

    private static Command CreateCa(CliContext context, GlobalOptions globals, Option<string> directory)
    {
        Option<int> days = DaysOption(CertificateKind.Authority);
        Command command = new("create-ca", "Make the authority of a cluster: ca.crt for everybody, ca.key for nobody else.") { days };
        command.Do(context, globals, (parse, _) =>
        {
            IssuedCertificate issued = CertificateIssuer.CreateAuthority(context.Time.GetUtcNow(), Days(parse, days));
            return Add(context, globals, parse, directory, CertificateDirectory.AuthorityName, issued);
        });
        return command.WithExamples("henge cert create-ca", "henge cert create-ca --certs-dir /root/henge-certs");
    }

    private static Command CreateNode(CliContext context, GlobalOptions globals, Option<string> directory)
    {
        Argument<string[]> hosts = new("host")
        {
            Description = "Every address and name by which nodes and clients reach the node, without ports.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string?> name = new("--name")
        {
            Description = "The files are NAME.crt and NAME.key. [default: node.HOST, of the first host]",
            HelpName = "name",
        };
        Option<int> days = DaysOption(CertificateKind.Node);
        Command command = new("create-node", "Make a node's certificate and key.") { hosts, name, days };
        command.Do(context, globals, (parse, _) =>
        {
            string[] reached = parse.GetRequiredValue(hosts);
            string file = parse.GetValue(name) ?? "node." + reached[0].Trim('[', ']').Replace(':', '_');
            if (file.Length == 0 || file.AsSpan().IndexOfAny(Path.GetInvalidFileNameChars()) >= 0)
            {
                throw new UsageException($"--name {file}: that is no name of a file.");
            }

            CertificateDirectory certificates = new(parse.GetRequiredValue(directory));
            using Authority authority = certificates.ReadAuthority();
            return Add(
                context,
                globals,
                parse,
                directory,
                file,
                CertificateIssuer.CreateNode(authority, reached, context.Time.GetUtcNow(), Days(parse, days)));
        });
        return command.WithExamples(
            "henge cert create-node 10.0.0.1 db1.example",
            "henge cert create-node 127.0.0.1 localhost --name local");
    }

    private static Command CreateClient(CliContext context, GlobalOptions globals, Option<string> directory)
    {
        Argument<string> user = new("user") { Description = "The user's name, as nodes see it." };
        Option<int> days = DaysOption(CertificateKind.Client);
        Command command = new("create-client", "Make a user's certificate and key.") { user, days };
        command.Do(context, globals, (parse, _) =>
        {
            string name = CertificateIssuer.CheckUser(parse.GetRequiredValue(user));
            CertificateDirectory certificates = new(parse.GetRequiredValue(directory));
            using Authority authority = certificates.ReadAuthority();
            return Add(
                context,
                globals,
                parse,
                directory,
                "client." + name,
                CertificateIssuer.CreateClient(authority, name, context.Time.GetUtcNow(), Days(parse, days)));
        });
        return command.WithExamples("henge cert create-client alice");
    }

    private static Command Renew(CliContext context, GlobalOptions globals, Option<string> directory)
    {
        Argument<string[]> files = new("file")
        {
            Description = "Certificates: paths, or names in the directory of the certificates.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<int?> days = new("--days") { Description = "How long they are good. [default: as for new ones]", HelpName = "days" };
        Command command = new("renew", "Put a certificate with a later end in the place of each: same name, hosts and key.") { files, days };
        command.Do(context, globals, (parse, _) =>
        {
            CertificateDirectory certificates = new(parse.GetRequiredValue(directory));
            int? given = parse.GetValue(days);
            if (given is { } number)
            {
                CheckDays(number);
            }

            using Authority authority = certificates.ReadAuthority();
            string[] found = [.. parse.GetRequiredValue(files).Select(certificates.Find)];
            List<CertificateDescription> renewed = [];
            foreach (string file in found)
            {
                X509Certificate2Collection old = CertificateDirectory.ReadAll(file);
                if (old.Count > 1)
                {
                    throw new UsageException($"{file} holds {old.Count} certificates. Renew each in a file of its own.");
                }

                string fresh = CertificateIssuer.Renew(old[0], authority, context.Time.GetUtcNow(), given);
                CertificateDirectory.Replace(file, fresh);
                using var certificate = X509Certificate2.CreateFromPem(fresh);
                renewed.Add(CertificateDescription.Of(file, certificate, context.Time.GetUtcNow()));
            }

            if (globals.IsJson(parse))
            {
                CertInspectCommand.WriteJson(context, renewed);
            }
            else
            {
                renewed.ForEach(r => context.Output.WriteLine($"Renewed {r.File}: good until {r.NotAfter.UtcDateTime:yyyy-MM-dd}"));
            }

            return Task.FromResult(ExitCode.Ok);
        });
        return command.WithExamples("henge cert renew node.10.0.0.1", "henge cert renew certs/client.alice.crt --days 90");
    }

    private static Task<int> Add(
        CliContext context,
        GlobalOptions globals,
        ParseResult parse,
        Option<string> directory,
        string name,
        IssuedCertificate issued)
    {
        (string certificateFile, string keyFile) = new CertificateDirectory(parse.GetRequiredValue(directory)).Add(name, issued);
        using var certificate = X509Certificate2.CreateFromPem(issued.Certificate);
        var made = CertificateDescription.Of(certificateFile, certificate, context.Time.GetUtcNow());
        if (globals.IsJson(parse))
        {
            JsonForm.WriteLine(context.Output, json =>
            {
                json.WriteString("key", keyFile);
                CertInspectCommand.WriteFields(json, made);
            });
        }
        else
        {
            context.Output.WriteLine($"Certificate: {made.File} ({made.Subject}, good until {made.NotAfter.UtcDateTime:yyyy-MM-dd})");
            context.Output.WriteLine($"Key:         {keyFile}");
        }

        return Task.FromResult(ExitCode.Ok);
    }

    private static Option<int> DaysOption(CertificateKind kind) =>
        CommandExtensions.OptionOf("--days", "How long it is good.", "days", CertificateIssuer.DaysOf(kind));

    private static int Days(ParseResult parse, Option<int> option) => CheckDays(parse.GetValue(option));

    private static int CheckDays(int days) =>
        days is > 0 and <= MostDays ? days : throw new UsageException($"--days must be from 1 to {MostDays}.");
}
