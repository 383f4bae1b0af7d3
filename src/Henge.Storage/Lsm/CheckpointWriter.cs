using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm;

/// <summary>
/// Makes a directory that can be opened as an engine, of hard links to tables and a manifest of its own. CURRENT comes last, so that a
/// checkpoint that was cut short is not taken for one.
/// </summary>
internal static class CheckpointWriter
{
    public static void Write(EngineParts parts, VersionEdit edit, string directory)
    {
        IFileSystem files = parts.Files;
        if (files.DirectoryExists(directory) && files.List(directory).Count > 0)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"{directory} is not empty. Give the name of a directory that is not there yet.");
        }

        files.CreateDirectoryDurably(directory);
        foreach ((_, TableMeta table) in edit.AddedTables)
        {
            string name = EngineFiles.Table(table.Number);
            files.Link(Path.Combine(parts.Directory, name), Path.Combine(directory, name));
        }

        // The copy has no log, so all of a log that it may get is above the floor.
        edit.LogFloor = 0;
        ulong number = edit.NextFileNumber!.Value;
        edit.NextFileNumber = number + 1;
        ManifestFile.Create(files, directory, number, edit).Dispose();
        ManifestFile.SwitchTo(files, directory, number);
    }
}
