using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Henge.Raft.Tests;

/// <summary>
/// Schedules written as text, one command a line, with everything that the groups hand out below each: Transcripts/*.txt. They are tests
/// and documentation at once. HENGE_REWRITE_TRANSCRIPTS=1 writes what happens now in place of what was expected: look at the difference
/// before you keep it.
/// </summary>
/// <remarks>
/// Commands: elect N and quietly-settle do what elections and settle do, without output; win N votes=A,B elects N by these votes and stops
/// there; forget N lets ten ticks pass, so that a node no longer protects its leader; nodes N [append=limit] | nodes voters=1,2 learners=3;
/// campaign N; tick N [count]; propose N text; read N id; sync N; sync-one N; deliver A B [count]; drop A B; settle [apart=N,M]; crash N
/// [surviving=k]; start N; transfer A B; membership N voters=.. learners=..; join N; checkpoint N keep; snapshot A B; sent A B; failed A B;
/// state. Lines that begin with # are comments, and indented lines are output.
/// </remarks>
public sealed class TranscriptTests
{
    public static TheoryData<string> Files
    {
        get
        {
            TheoryData<string> data = [];
            foreach (string file in Directory.GetFiles(Folder(), "*.txt").Order(StringComparer.Ordinal))
            {
                data.Add(Path.GetFileNameWithoutExtension(file));
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_transcript_comes_out_as_written(string name)
    {
        string path = Path.Combine(Folder(), name + ".txt");
        string expected = File.ReadAllText(path);
        string actual = Play(expected);
        if (Environment.GetEnvironmentVariable("HENGE_REWRITE_TRANSCRIPTS") == "1")
        {
            File.WriteAllText(path, actual);
            return;
        }

        Assert.Equal(expected, actual);
    }

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Transcripts");

    private static string Play(string script)
    {
        StringBuilder output = new();
        Lab? lab = null;
        foreach (string line in script.Split('\n'))
        {
            if (line.StartsWith(' '))
            {
                continue;
            }

            if (line.Length == 0 || line[0] == '#')
            {
                if (line.Length > 0 || (output.Length > 0 && !output.ToString().EndsWith("\n\n", StringComparison.Ordinal)))
                {
                    output.Append(line).Append('\n');
                }

                continue;
            }

            output.Append(line).Append('\n');
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0] == "nodes")
            {
                RaftOptions options = new()
                {
                    Self = new(1),
                    ElectionTimeoutMinTicks = 10,
                    ElectionTimeoutMaxTicks = 60,
                    HeartbeatTicks = 3,
                    SnapshotRetryTicks = 3,
                    InflightLimitMessages = 4,
                    AppendLimitBytes = (long)Ids(words, "append").FirstOrDefault(100_000UL),
                };
                lab = words[1].StartsWith("voters=", StringComparison.Ordinal)
                    ? new Lab(Ids(words, "voters"), Ids(words, "learners"), options, quiet: false)
                    : new Lab(int.Parse(words[1], CultureInfo.InvariantCulture), options, quiet: false);
                continue;
            }

            Execute(lab!, words, output);
            output.Append(lab!.Text);
            lab.Text.Clear();
        }

        return output.ToString().TrimEnd('\n') + "\n";
    }

    private static void Execute(Lab lab, string[] words, StringBuilder output)
    {
        ulong Arg(int i) => ulong.Parse(words[i], CultureInfo.InvariantCulture);
        int Count(int i, int otherwise) => words.Length > i ? int.Parse(words[i], CultureInfo.InvariantCulture) : otherwise;
        void Say(string what) => output.Append("  ").Append(what).Append('\n');
        switch (words[0])
        {
            case "elect":
                lab.Muted(() => lab.Elect(Arg(1), [.. Ids(words, "apart")]));
                break;
            case "win":
                lab.Muted(() => lab.Win(Arg(1), [.. Ids(words, "votes")]));
                Say($"n{words[1]} leads term {lab[Arg(1)].Term}");
                break;
            case "quietly-settle":
                lab.Muted(() => lab.Settle([.. Ids(words, "apart")]));
                break;
            case "forget":
                lab.Muted(() => lab.Tick(Arg(1), 10));
                break;
            case "campaign":
                lab.Campaign(Arg(1));
                break;
            case "tick":
                lab.Tick(Arg(1), Count(2, 1));
                break;
            case "propose":
                ProposeResult result = lab.Propose(Arg(1), words[2]);
                if (!result.IsAccepted)
                {
                    Say($"refused: {result.Status} hint={result.LeaderHint}");
                }

                break;
            case "read":
                lab.Read(Arg(1), Arg(2));
                break;
            case "sync":
                lab.Sync(Arg(1));
                break;
            case "sync-one":
                lab.SyncOne(Arg(1));
                break;
            case "deliver":
                lab.Deliver(Arg(1), Arg(2), Count(3, int.MaxValue));
                break;
            case "drop":
                Say($"{lab.Drop(Arg(1), Arg(2))} lost");
                break;
            case "settle":
                lab.Settle([.. Ids(words, "apart")]);
                break;
            case "crash":
                lab.Crash(Arg(1), (int)Ids(words, "surviving").FirstOrDefault());
                break;
            case "start":
                lab.Start(Arg(1));
                break;
            case "transfer":
                Say(lab.Transfer(Arg(1), Arg(2)).ToString());
                break;
            case "membership":
                Say(lab.Change(Arg(1), Ids(words, "voters"), Ids(words, "learners")).Status.ToString());
                break;
            case "join":
                lab.AddNode(Arg(1));
                break;
            case "checkpoint":
                lab.Node(Arg(1)).Checkpoint(compact: true, keepEntries: Arg(2));
                break;
            case "snapshot":
                Say(lab.BeginSnapshot(Arg(1), Arg(2))?.ToString() ?? "not needed");
                break;
            case "sent":
                lab[Arg(1)].SnapshotSent(new(Arg(2)));
                lab.Pump(Arg(1));
                break;
            case "failed":
                lab[Arg(1)].SnapshotFailed(new(Arg(2)));
                lab.Pump(Arg(1));
                break;
            case "state":
                foreach (ulong id in lab.Applied.Keys.Order())
                {
                    if (!lab.Node(id).IsUp)
                    {
                        Say($"n{id} down");
                        continue;
                    }

                    RaftGroup g = lab[id];
                    Say(
                        $"n{id} {g.Role} term={g.Term} vote={g.VotedFor} leader={g.Leader} last={g.LastTerm}/{g.LastIndex} "
                            + $"persisted={g.PersistedIndex} commit={g.CommitIndex} applied={g.AppliedIndex} {g.Membership}");
                    List<PeerStatus> peers = [];
                    g.GetPeers(peers);
                    foreach (PeerStatus p in peers)
                    {
                        Say($"   {p.Id} {p.State} match={p.Match} next={p.Next}");
                    }
                }

                break;
            default:
                throw new InvalidOperationException($"Unknown command {words[0]}.");
        }
    }

    private static List<ulong> Ids(string[] words, string name)
    {
        string? found = words.FirstOrDefault(w => w.StartsWith(name + "=", StringComparison.Ordinal));
        return found is null
            ? []
            :
            [
                .. found[(name.Length + 1)..]
                    .Split(',', StringSplitOptions.RemoveEmptyEntries)
                    .Select(static s => ulong.Parse(s, CultureInfo.InvariantCulture)),
            ];
    }
}
