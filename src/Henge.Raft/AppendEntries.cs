using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>Carries entries, or, without any, looks for the point where two logs agree (Raft paper, section 5.3).</summary>
public sealed class AppendEntries() : RaftMessage(RaftMessageKind.AppendEntries)
{
    /// <summary>The index right before <see cref="Entries"/>.</summary>
    public LogIndex PrevIndex { get; init; }

    /// <summary>The term of the entry there.</summary>
    public Term PrevTerm { get; init; }

    /// <summary>The leader's commit index; it may lie beyond what the message carries.</summary>
    public LogIndex Commit { get; init; }

    /// <summary>Entries right after <see cref="PrevIndex"/>, without a gap.</summary>
    public ReadOnlyMemory<Entry> Entries { get; init; }

    /// <inheritdoc/>
    protected override string Details
    {
        get
        {
            StringBuilder text = new();
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"prev={PrevTerm}/{PrevIndex} commit={Commit}");
            if (!Entries.IsEmpty)
            {
                text.Append(" [");
                for (int i = 0; i < Entries.Length; i++)
                {
                    text.Append(i == 0 ? "" : ", ").Append(Entries.Span[i].ToString());
                }

                text.Append(']');
            }

            return text.ToString();
        }
    }
}
