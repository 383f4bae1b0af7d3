using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>
/// The data directory of a node that joins a cluster, before the node is opened on it. What the node says of itself to the cluster is
/// durable before it says it, so that a join that was broken off is gone on with, under the same number. Holds the directory's lock until
/// disposed of. Not thread-safe.
/// </summary>
public sealed class NodeJoining : IDisposable
{
    private const string FileName = "JOINING";
    private const string FirstLine = "henge-joining 1";
    private readonly IFileSystem _files;
    private readonly NodeOptions _options;
    private readonly IDisposable _lock;

    private NodeJoining(IFileSystem files, NodeOptions options, IDisposable directoryLock)
    {
        _files = files;
        _options = options;
        _lock = directoryLock;
    }

    /// <summary>The number of the data directory, which the cluster knows the node by.</summary>
    public ulong Incarnation { get; private set; }

    /// <summary>What the node asks a cluster.</summary>
    public JoinRequest Request => new()
    {
        Name = _options.Name,
        Address = _options.Address,
        Incarnation = Incarnation,
        Zone = _options.Zone,
        Weight = _options.Weight,
        FormatLevel = FoundingSettings.NewestFormatLevel,
        Token = DescribeToken(_options.ClusterToken),
    };

    /// <summary>A token in a form that can be shown.</summary>
    public static string DescribeToken(string token) => FoundingSettings.DescribeToken(token);

    /// <summary>True when a data directory belongs to a node already: it has nothing to ask any more.</summary>
    public static bool IsMade(IFileSystem files, string directory) => files.FileExists(Path.Combine(directory, IdentityFile.Name));

    /// <summary>
    /// Prepares a directory that is empty, or that an earlier try has prepared. Throws <see cref="HengeException"/>: Locked, Corruption,
    /// Misconfigured (it was prepared for another name), InvalidArgument (a name that cannot be).
    /// </summary>
    public static NodeJoining Begin(IFileSystem files, NodeOptions options, Func<ulong> random)
    {
        if (NodeIdentity.ProblemOfName(options.Name) is { } problem)
        {
            throw new HengeException(ErrorCode.InvalidArgument, problem);
        }

        files.CreateDirectoryDurably(options.DataDirectory);
        var joining = new NodeJoining(files, options, files.Lock(Path.Combine(options.DataDirectory, "LOCK")));
        try
        {
            joining.Prepare(random);
            return joining;
        }
        catch
        {
            joining.Dispose();
            throw;
        }
    }

    /// <summary>Makes the directory that of a member. The node can be opened on it then.</summary>
    public void Complete(JoinAnswer answer)
    {
        FoundingSettings founding = FoundingSettings.Parse(answer.Founding.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            ?? throw new HengeException(
                ErrorCode.UnsupportedFormat,
                "The cluster's answer to the join cannot be read. Start the node with the release that the cluster runs.");
        if (
            founding.ToText() != answer.Founding
            || answer.ClusterId.Length == 0
            || answer.Id.IsNone
            || answer.Id.Value > MemberTable.MostIds)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                "The cluster's answer to the join makes no sense to this build. Start the node with the release that the cluster runs.");
        }

        IdentityFile.Write(_files, _options.DataDirectory, new NodeIdentity
        {
            Name = _options.Name,
            Incarnation = Incarnation,
            Founding = founding,
            Joined = new JoinedIdentity(answer.Id, answer.ClusterId, [.. answer.Members]),
        });
        string prepared = Path.Combine(_options.DataDirectory, FileName);
        if (_files.FileExists(prepared))
        {
            _files.Delete(prepared);
            _files.SyncDirectory(_options.DataDirectory);
        }
    }

    /// <summary>Gives the directory's lock back.</summary>
    public void Dispose() => _lock.Dispose();

    /// <summary>True for HOST:PORT of at most 255 characters.</summary>
    internal static bool IsAddress(string address)
    {
        int colon = address.LastIndexOf(':');
        return colon > 0 && address.Length <= 255 && !address.Any(static c => char.IsWhiteSpace(c) || char.IsControl(c))
            && ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && port != 0;
    }

    private void Prepare(Func<ulong> random)
    {
        string path = Path.Combine(_options.DataDirectory, FileName);
        if (_files.FileExists(path))
        {
            string[] lines = Read(path).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (
                lines.Length != 3
                || lines[0] != FirstLine
                || !ulong.TryParse(lines[2], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong known)
                || known == 0)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The file '{path}' of a join that was broken off cannot be read. Give the node an empty directory and another name.");
            }

            if (lines[1] != _options.Name)
            {
                throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"The data directory '{_options.DataDirectory}' was prepared for {lines[1]}, which began to join, and not for "
                        + $"{_options.Name}. Start it as {lines[1]}, or give {_options.Name} a directory of its own.");
            }

            Incarnation = known;
            return;
        }

        if (_files.List(_options.DataDirectory).Any(static n => n is "log" or "engine"))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The data directory '{_options.DataDirectory}' has data but no file {IdentityFile.Name}, so it is not known whose data "
                    + $"that is. Restore the file from a copy, or give the node an empty directory.");
        }

        do
        {
            Incarnation = random();
        }
        while (Incarnation == 0);

        byte[] text = Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"{FirstLine}\n{_options.Name}\n{Incarnation:x16}\n"));
        DurableFile.Replace(_files, _options.DataDirectory, Path.GetFileName(path), text);
    }

    private string Read(string path)
    {
        using IFile file = _files.Open(path, FileOpenMode.Read);
        byte[] bytes = new byte[Math.Min(file.Length, 1024)];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
    }
}
