using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Files;

namespace Henge.Storage.Bitcask;

/// <summary>
/// Makes a directory that can be opened as an engine, of hard links to sealed segments and a manifest of its own. The manifest comes last,
/// so that a checkpoint that was cut short is not taken for one.
/// </summary>
internal static class BitcaskCheckpoint
{
    public static void Write(BitcaskState state, SegmentManifest manifest, string directory)
    {
        IFileSystem files = state.Files;
        if (files.DirectoryExists(directory) && files.List(directory).Count > 0)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"{directory} is not empty. Give the name of a directory that is not there yet.");
        }

        SegmentManifest copy = manifest.Clone();
        copy.Segments.RemoveAll(static listed => listed.End == 0);
        files.CreateDirectoryDurably(directory);
        foreach (ListedSegment listed in copy.Segments)
        {
            Link(files, state.Directory, directory, BitcaskFiles.Segment(listed.Id));
            if (state.FindSegment(listed.Id) is { HasHint: true })
            {
                Link(files, state.Directory, directory, BitcaskFiles.Hint(listed.Id));
            }
        }

        files.SyncDirectory(directory);
        copy.Write(files, directory);
    }

    private static void Link(IFileSystem files, string from, string to, string name) =>
        files.Link(Path.Combine(from, name), Path.Combine(to, name));
}
