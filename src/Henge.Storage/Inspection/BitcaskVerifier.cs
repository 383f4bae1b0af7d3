using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;

namespace Henge.Storage.Inspection;

/// <summary>
/// Checks the directory of a bitcask engine that is not open: the manifest, every checksum of every segment, and that hints say what the
/// segments do. Changes nothing.
/// </summary>
internal sealed class BitcaskVerifier(IFileSystem files, string directory, Action<VerifyProgress>? progress)
{
    private readonly List<string> _problems = [];
    private readonly List<string> _notes = [];
    private readonly SegmentStore _store = new(files, directory, static () => 0, nextId: 1);
    private long _entries;

    public VerifyReport Go()
    {
        SegmentManifest? manifest = Try(() => SegmentManifest.Read(files, directory));
        ListedSegment[] listed = manifest is null ? [] : [.. manifest.Segments];
        long total = listed.Sum(static segment => (long)segment.End);
        long done = 0;
        for (int i = 0; i < listed.Length; i++)
        {
            ListedSegment segment = listed[i];
            Try(() => Verify(segment));
            done += segment.End;
            progress?.Invoke(new VerifyProgress(BitcaskFiles.Segment(segment.Id), i + 1, listed.Length, done, total));
        }

        NoteUnlisted(listed);
        return new VerifyReport
        {
            Problems = _problems,
            Notes = _notes,
            Tables = listed.Length,
            Entries = _entries,
            TableBytes = total,
            LogRecords = 0,
        };
    }

    private T? Try<T>(Func<T> check)
    {
        try
        {
            return check();
        }
        catch (HengeException error)
        {
            _problems.Add(error.Message);
        }
        catch (IOException error)
        {
            _problems.Add($"Could not be read: {error.Message}");
        }

        return default;
    }

    private bool Verify(ListedSegment listed)
    {
        Segment segment = _store.Open(listed.Id, forWriting: false);
        using IFile file = segment.File;
        if (listed.End == 0)
        {
            if (SegmentScan.ReadOpen(segment, Count, out _) is { } cut)
            {
                _notes.Add($"The end of a segment was torn, and the next start cuts it: {cut}");
            }

            return true;
        }

        if (file.Length < listed.End)
        {
            throw SegmentStore.Damage(file.Path, file.Length, $"it ends there, and not at {listed.End}");
        }

        segment.End = listed.End;
        long before = _entries;
        SegmentScan.ReadSealed(segment, Count);
        VerifyHint(segment, _entries - before);
        return true;
    }

    private void VerifyHint(Segment segment, long entries)
    {
        string path = _store.HintPathOf(segment.Id);
        if (!files.FileExists(path))
        {
            _notes.Add($"{path} is missing; the next start reads the segment, and writes it anew.");
            return;
        }

        using HintReader? hint = HintReader.Open(_store, segment.Id, segment.End, segment.Header.Salt);
        long found = 0;
        while (hint is not null && hint.Next(out _))
        {
            found++;
        }

        if (hint is null or { IsComplete: false } || found != entries)
        {
            _notes.Add($"{path} is damaged; the next start reads the segment, and writes it anew.");
        }
    }

    private void Count(in StoredEntry item, uint offset) => _entries += item.IsPosition ? 0 : 1;

    private void NoteUnlisted(ListedSegment[] listed)
    {
        var ids = listed.Select(static segment => segment.Id).ToHashSet();
        foreach (string name in files.List(directory))
        {
            if ((BitcaskFiles.IsSegment(name, out uint id) || BitcaskFiles.IsHint(name, out id)) && !ids.Contains(id))
            {
                _notes.Add($"{name} is not listed by the manifest. If the manifest is whole, the next start deletes it.");
            }
        }
    }
}
