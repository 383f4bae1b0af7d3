using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Henge.Cli.Certificates;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;

namespace Henge.Cli.Commands;

/// <summary><c>henge cert inspect</c>.</summary>
internal static class CertInspectCommand
{
    public static Command Create(CliContext context, GlobalOptions globals, Option<string> directory)
    {
        Argument<string[]> files = new("file")
        {
            Description = "Certificates: paths, or names in the directory of the certificates. [default: all in it]",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Command command = new("inspect", "Show what certificates say, and how long they are good.") { files };
        command.Do(context, globals, (parse, _) =>
        {
            CertificateDirectory certificates = new(parse.GetRequiredValue(directory));
            string[] named = parse.GetValue(files) ?? [];
            List<CertificateDescription> found = [];
            foreach (string file in named.Length > 0 ? named.Select(certificates.Find) : certificates.List())
            {
                foreach (X509Certificate2 certificate in CertificateDirectory.ReadAll(file))
                {
                    using (certificate)
                    {
                        found.Add(CertificateDescription.Of(file, certificate, context.Time.GetUtcNow()));
                    }
                }
            }

            if (globals.IsJson(parse))
            {
                WriteJson(context, found);
            }
            else
            {
                WriteTable(context, found);
            }

            context.Output.Flush();
            foreach (CertificateDescription near in found.Where(static f => f.IsNearItsEnd))
            {
                context.Error.WriteLine(near.DaysLeft < 0
                    ? $"henge: {near.File} is over since {Day(near.NotAfter)}. Renew it with: henge cert renew {near.File}"
                    : $"henge: {near.File} is good for {near.DaysLeft} more days. Renew it with: henge cert renew {near.File}");
            }

            return Task.FromResult(found.Exists(static f => f.IsNearItsEnd) ? ExitCode.No : ExitCode.Ok);
        });
        return command.WithExamples("henge cert inspect", "henge cert inspect /etc/henge/node.crt --output json");
    }

    /// <summary>One JSON object with all of them.</summary>
    internal static void WriteJson(CliContext context, IReadOnlyList<CertificateDescription> found) =>
        JsonForm.WriteLine(context.Output, json => json.WriteObjects("certificates", found, one => WriteFields(json, one)));

    /// <summary>The fields of one.</summary>
    internal static void WriteFields(Utf8JsonWriter json, CertificateDescription one)
    {
        json.WriteString("file", one.File);
        json.WriteString("kind", one.KindName);
        json.WriteString("subject", one.Subject);
        json.WriteString("name", one.Name);
        json.WriteList("hosts", one.Hosts, json.WriteStringValue);
        json.WriteString("not_before", Time(one.NotBefore));
        json.WriteString("not_after", Time(one.NotAfter));
        json.WriteNumber("days_left", one.DaysLeft);
        json.WriteString("issuer", one.Issuer);
        json.WriteString("serial", one.Serial);
    }

    private static void WriteTable(CliContext context, List<CertificateDescription> found)
    {
        Table table = new Table("FILE", "KIND", "NAME", "HOSTS", "FROM", "UNTIL", "DAYS", "ISSUER", "SERIAL").AlignRight(6);
        foreach (CertificateDescription one in found)
        {
            table.Add(
                one.File,
                one.KindName,
                one.Name ?? "-",
                one.Hosts.Count > 0 ? string.Join(' ', one.Hosts) : "-",
                Day(one.NotBefore),
                Day(one.NotAfter),
                one.DaysLeft.ToString(CultureInfo.InvariantCulture),
                one.Issuer,
                one.Serial);
        }

        context.Output.Write(table.ToString());
    }

    private static string Day(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
