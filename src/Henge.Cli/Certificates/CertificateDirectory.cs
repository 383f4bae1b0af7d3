using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Henge.Cli.Outcome;
using Henge.Core;

namespace Henge.Cli.Certificates;

/// <summary>
/// The files of <c>henge cert</c>: NAME.crt and NAME.key. What is new never takes the place of a file; keys are their owner's alone from
/// the moment they are there.
/// </summary>
internal sealed class CertificateDirectory(string path)
{
    private const UnixFileMode DirectoryMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode PublicMode = KeyFile.Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>The name of the authority's files.</summary>
    public const string AuthorityName = "ca";

    private string AuthorityFile => Path.Combine(path, AuthorityName + ".crt");

    private string AuthorityKeyFile => Path.Combine(path, AuthorityName + ".key");

    /// <summary>Writes a certificate and its key into new files, and gives their paths. Throws <see cref="UsageException"/>.</summary>
    public (string Certificate, string Key) Add(string name, IssuedCertificate issued)
    {
        Create();
        string certificate = Path.Combine(path, name + ".crt");
        string key = Path.Combine(path, name + ".key");
        if (new[] { certificate, key }.FirstOrDefault(File.Exists) is { } taken)
        {
            throw Taken(taken);
        }

        WriteNew(key, issued.Key, KeyFile.Mode);
        try
        {
            WriteNew(certificate, issued.Certificate, PublicMode);
        }
        catch
        {
            File.Delete(key);
            throw;
        }

        return (certificate, key);
    }

    /// <summary>The authority, which signs. Throws <see cref="UsageException"/> with what to do about it.</summary>
    public Authority ReadAuthority()
    {
        if (!File.Exists(AuthorityFile) || !File.Exists(AuthorityKeyFile))
        {
            string missing = File.Exists(AuthorityFile) ? AuthorityKeyFile : AuthorityFile;
            throw new UsageException(
                $"There is no {missing}. Make an authority with: henge cert create-ca; or name the directory of yours with --certs-dir.");
        }

        KeyFile.CheckMode(AuthorityKeyFile);
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(AuthorityKeyFile));
            foreach (X509Certificate2 one in ReadAll(AuthorityFile))
            {
                using ECDsa? signed = one.GetECDsaPublicKey();
                if (signed is not null
                    && signed.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo())
                    && CertificateDescription.KindOf(one) == CertificateKind.Authority)
                {
                    return new Authority(one, key);
                }
            }
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            key.Dispose();
            throw new UsageException($"{AuthorityKeyFile} is no ECDSA key in PEM form without a password: {e.Message}");
        }

        key.Dispose();
        throw new UsageException($"{AuthorityKeyFile} is not the key of an authority in {AuthorityFile}.");
    }

    /// <summary>The certificates of a file, in their order. Throws <see cref="UsageException"/>.</summary>
    public static X509Certificate2Collection ReadAll(string file)
    {
        X509Certificate2Collection found = [];
        try
        {
            found.ImportFromPemFile(file);
        }
        catch (CryptographicException e)
        {
            throw new UsageException($"{file} cannot be read as certificates: {e.Message}");
        }

        return found.Count > 0
            ? found
            : throw new UsageException($"{file} holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines.");
    }

    /// <summary>The path of a file that is named by its path, or by its name in this directory, with or without <c>.crt</c>.</summary>
    public string Find(string name) =>
        new[] { name, Path.Combine(path, name), Path.Combine(path, name + ".crt") }.FirstOrDefault(File.Exists)
            ?? throw new UsageException($"There is no {name}, and none in {path} either.");

    /// <summary>All certificates' files, in the order of their names.</summary>
    public IReadOnlyList<string> List() =>
        Directory.Exists(path)
            ? [.. Directory.GetFiles(path, "*.crt").Order(StringComparer.Ordinal)]
            : throw new UsageException($"There is no directory {path}. Make an authority with: henge cert create-ca");

    /// <summary>
    /// Puts a certificate in the place of the one in a file, in one step: whoever reads it sees the old one or the new one, whole.
    /// </summary>
    public static void Replace(string file, string certificate)
    {
        string fresh = $"{file}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}.new";
        WriteNew(fresh, certificate, PublicMode);
        try
        {
            File.Move(fresh, file, overwrite: true);
        }
        catch
        {
            File.Delete(fresh);
            throw;
        }
    }

    private void Create()
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, DirectoryMode);
        }
    }

    // With its mode from the beginning: a key that is readable for a moment has been readable.
    private static void WriteNew(string file, string text, UnixFileMode mode)
    {
        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = mode;
        }

        FileStream stream;
        try
        {
            stream = new FileStream(file, options);
        }
        catch (IOException) when (File.Exists(file))
        {
            throw Taken(file);
        }

        using (stream)
        {
            stream.Write(Encoding.ASCII.GetBytes(text.EndsWith('\n') ? text : text + "\n"));
            stream.Flush(flushToDisk: true);
        }
    }

    private static UsageException Taken(string file) => new(
        $"{file} is there already, and is not overwritten. Name another directory with --certs-dir, renew the certificate with: henge "
            + "cert renew, or move the file away.");
}
