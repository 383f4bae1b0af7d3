using Henge.Core;
using Henge.Node.Log;
using Henge.Raft;
using EntryKind = Henge.Raft.EntryKind;
using EntryReader = Henge.Node.StateMachine.EntryReader;

namespace Henge.Node.Replication;

/// <summary>Sees the versions in a log while the group reads it for the first time.</summary>
internal sealed class VersionScan(ShardLog log) : IRaftLog
{
    public Core.Version LastVersion { get; private set; }

    public LogIndex CompactedIndex => log.CompactedIndex;

    public Term CompactedTerm => log.CompactedTerm;

    public LogIndex LastIndex => log.LastIndex;

    public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into)
    {
        int start = into.Count;
        LogReadStatus status = log.Read(from, last, limitBytes, into);
        for (int i = start; i < into.Count; i++)
        {
            if (
                into[i].Kind == EntryKind.Normal
                && EntryReader.TryGetLastVersion(into[i].Data.Span, out Core.Version version)
                && version > LastVersion)
            {
                LastVersion = version;
            }
        }

        return status;
    }
}
