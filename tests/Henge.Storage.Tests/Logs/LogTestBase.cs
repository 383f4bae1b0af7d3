using System.Text;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

/// <summary>A small log on a simulated disk, and short ways to use it.</summary>
public abstract class LogTestBase
{
    protected const string Dir = "/data/log";

    protected SimulatedFileSystem Disk { get; } = new();

    protected SegmentedLogOptions Options { get; set; } =
        new()
        {
            SegmentBytes = 16 * 1024,
            ZeroAheadBytes = 0,
            NewSalt = static () => 0x1234_5678_9ABC_DEF0,
        };

    protected List<string> Found { get; } = [];

    protected static string FirstSegment => Dir + "/0000000001.log";

    protected SegmentedLog Open()
    {
        Found.Clear();
        return SegmentedLog.Open(Disk, Dir, Options, (_, kind, payload) => Found.Add($"{kind}:{Encoding.ASCII.GetString(payload)}"));
    }

    protected static LogPosition AppendSynced(SegmentedLog log, string text, byte kind = 1)
    {
        LogPosition position = log.Append(kind, Encoding.ASCII.GetBytes(text));
        log.Sync();
        return position;
    }

    protected static string ReadText(SegmentedLog log, LogPosition position)
    {
        byte[] buffer = [];
        return Encoding.ASCII.GetString(log.Read(position, ref buffer, out _));
    }

    /// <summary>The process dies; the disk keeps everything.</summary>
    protected void Kill() => Disk.Crash(CrashMode.KeepAll, 0);
}
