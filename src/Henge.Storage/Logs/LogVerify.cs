using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>
/// Checks logs that nobody writes to, without changing them: every checksum, every mark, and the chain of segments. Goes on after damage.
/// </summary>
public static class LogVerify
{
    /// <summary>Checks a log's directory, or one segment by itself (whose end then is taken to be where good records end).</summary>
    /// <exception cref="IOException">There is no such file or directory, or it cannot be read.</exception>
    public static LogVerifyReport Verify(IFileSystem files, string path)
    {
        var run = new Run(files);
        if (!files.DirectoryExists(path))
        {
            run.Check(path, expectedId: null, sealedEnd: null);
            return run.Report;
        }

        (string Path, uint Id, LogSegmentHeader? Header)[] segments =
        [
            .. files
                .List(path)
                .Select(name =>
                    LogFormat.TryParseName(name, LogFormat.SegmentSuffix, out uint id) ? (Path.Combine(path, name), id) : (null!, 0u))
                .Where(static s => s.Item1 is not null)
                .Select(s => (s.Item1, s.Item2, run.TryReadHeader(s.Item1))),
        ];
        for (int i = 0; i < segments.Length; i++)
        {
            (string segment, uint id, LogSegmentHeader? header) = segments[i];
            if (i > 0 && header is { } own && own.PreviousId != segments[i - 1].Id)
            {
                run.Add(segment, 24, $"segment {own.PreviousId}, which came before it, is missing");
            }

            bool isLast = i + 1 == segments.Length;
            LogSegmentHeader? next = isLast ? null : segments[i + 1].Header;
            run.Check(segment, id, next is { } follower && follower.PreviousId == id ? follower.PreviousEnd : null, isLast);
        }

        return run.Report;
    }

    private sealed class Run(IFileSystem files)
    {
        private readonly List<LogDamage> _damage = [];
        private int _segments;
        private long _records;
        private long _bytes;
        private string? _tornTail;

        public LogVerifyReport Report => new(_segments, _records, _bytes, _damage, _tornTail);

        public void Add(string path, long offset, string what) => _damage.Add(new LogDamage(path, offset, what));

        public LogSegmentHeader? TryReadHeader(string path)
        {
            using IFile file = files.Open(path, FileOpenMode.Read);
            try
            {
                return LogRecovery.ReadHeader(file, path);
            }
            catch (HengeException)
            {
                // Check reports it.
                return null;
            }
        }

        public void Check(string path, uint? expectedId, uint? sealedEnd, bool isLast = true)
        {
            _segments++;
            using IFile file = files.Open(path, FileOpenMode.Read);
            LogSegmentHeader header;
            try
            {
                header = LogRecovery.ReadHeader(file, path);
            }
            catch (HengeException e)
            {
                Add(path, 0, e.Message);
                return;
            }

            if (expectedId is not null && header.Id != expectedId)
            {
                Add(path, 12, $"its header says that it is segment {header.Id}; was it renamed or copied?");
                return;
            }

            if (file.Length > LogFormat.MaxSegmentBytes)
            {
                Add(path, LogFormat.MaxSegmentBytes, $"with {file.Length} bytes it is larger than a segment can be");
                return;
            }

            if (sealedEnd > file.Length || sealedEnd < LogFormat.SegmentHeaderBytes)
            {
                Add(path, file.Length, $"the next segment says that its records end at {sealedEnd}, and the file does not");
                return;
            }

            var reader = new LogSegmentReader(file, header, sealedEnd ?? file.Length);
            try
            {
                CheckRecords(path, reader, sealedEnd, isLast);
            }
            catch (HengeException e)
            {
                Add(path, reader.Offset, e.Message);
            }
        }

        private void CheckRecords(string path, LogSegmentReader reader, uint? sealedEnd, bool isLast)
        {
            LogScan found;
            while ((found = reader.Next()) != LogScan.Nothing)
            {
                if (found == LogScan.Record)
                {
                    _records++;
                    _bytes += reader.Payload.Length + LogFormat.RecordHeaderBytes;
                }
            }

            if (sealedEnd is { } end)
            {
                if (reader.Offset != end)
                {
                    Add(path, reader.Offset, $"{reader.EndReason}; good records should go on to {end}");
                }

                return;
            }

            uint highest = 0;
            string reason = reader.EndReason;
            bool looksTorn = reader.LooksTorn;
            long proof = reader.FindProofBehind(ref highest);
            if (proof >= 0)
            {
                Add(path, reader.Offset, $"{reason}; the mark at {proof} says that what was here had been synced");
            }
            else if (looksTorn && isLast)
            {
                _tornTail = $"{path}: offset {reader.Offset}: {reason}; nothing after it had been synced";
            }
        }
    }
}
