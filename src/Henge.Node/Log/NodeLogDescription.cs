using System.Text;
using Henge.Node.StateMachine;

namespace Henge.Node.Log;

/// <summary>Says what a record of the node log is, for people who look at a log. Changes nothing; thread-safe.</summary>
public static class NodeLogDescription
{
    private const int ShownCommands = 8;
    private const int ShownBytes = 64;

    /// <summary>One line about a record; what makes no sense is shown in hex, and said to make none.</summary>
    public static string Describe(byte kind, ReadOnlySpan<byte> payload)
    {
        if (!NodeLogRecord.TryRead(kind, payload.ToArray(), out NodeLogRecord record, out string? error))
        {
            return $"{error}: {Convert.ToHexStringLower(payload[..Math.Min(ShownBytes, payload.Length)])}";
        }

        return record.Kind switch
        {
            NodeLogRecordKind.Entry => $"{record.Shard} entry {record.Entry.Term}/{record.Entry.Index} {DescribeEntry(record)}",
            NodeLogRecordKind.Moved => $"{record.Shard} moved entry {record.Entry.Term}/{record.Entry.Index} {DescribeEntry(record)}",
            NodeLogRecordKind.HardState => $"{record.Shard} hard state: {record.HardState}",
            NodeLogRecordKind.Truncate => $"{record.Shard} truncate from {record.Index}",
            NodeLogRecordKind.LateBase when record.Reset && record.Index == Core.LogIndex.Zero =>
                $"{record.Shard} dropped: forgotten {record.Forgotten.Term}/{record.Forgotten.Index}, hard state {record.HardState}, "
                    + $"{record.Membership}",
            _ =>
                $"{record.Shard} base{(record.Reset ? ", by a snapshot" : "")}: compacted {record.Term}/{record.Index}, hard state "
                    + $"{record.HardState}, {record.Membership}",
        };
    }

    private static string DescribeEntry(in NodeLogRecord record)
    {
        if (record.Entry.Kind != Raft.EntryKind.Normal)
        {
            return $"({record.Entry.Kind})";
        }

        if (!EntryReader.TryOpen(record.Entry.Data.Span, out EntryReader reader))
        {
            return $"{record.Entry.Data.Length} bytes that are not commands of this format";
        }

        var text = new StringBuilder();
        text.Append(reader.Count).Append(reader.Count == 1 ? " command: " : " commands: ");
        while (reader.MoveNext() && reader.Index < ShownCommands)
        {
            text.Append(reader.Index == 0 ? "" : "; ");
            if (CommandView.TryRead(reader.Command, out CommandView command))
            {
                text.Append(command.Kind);
                if (!command.Key.IsEmpty)
                {
                    text.Append(' ').Append(Text(command.Key));
                }

                if (!command.Value.IsEmpty)
                {
                    text.Append(' ').Append(command.Value.Length).Append(" bytes");
                }

                text.Append(" @").Append(reader.Version);
            }
            else
            {
                text.Append("a command that makes no sense");
            }
        }

        return text.Append(reader.Count > ShownCommands ? "; …" : "").ToString();
    }

    private static string Text(ReadOnlySpan<byte> key)
    {
        ReadOnlySpan<byte> shown = key[..Math.Min(ShownBytes, key.Length)];
        string rest = key.Length > ShownBytes ? "…" : "";
        return shown.ContainsAnyExceptInRange((byte)0x20, (byte)0x7E)
            ? $"0x{Convert.ToHexString(shown)}{rest}"
            : $"'{Encoding.ASCII.GetString(shown)}'{rest}";
    }
}
