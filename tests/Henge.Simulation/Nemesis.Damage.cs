using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>
/// In some runs the disk of one node loses bits of tables at rest. It must answer with what is right or not at all, apply nothing that it
/// cannot tell the outcome of, and be rebuilt from the others. Tables only: nothing takes the place of a log that is damaged
/// (docs/decisions/0166). And those only that a manifest lists: what is read back right after it was written, and is wrong, ends the node.
/// </summary>
internal sealed partial class Nemesis
{
    private const int HeaderBytes = 16;
    private const long ListedAfterMs = 1_500;
    private readonly Dictionary<string, long> _tablesSince = [];

    private void StartDamage()
    {
        if (cluster.Victim is { } victim)
        {
            var random = new SimRandom(World.Seed ^ 0xDA_3A6E);
            World.AfterMs(random.Between(300, 2_000), () => DamageTurn(victim, random));
        }
    }

    private void DamageTurn(SimNode node, SimRandom random)
    {
        if (_over)
        {
            return;
        }

        // Looking counts as work of the disk, at any of which the machine may be due to stop.
        node.Guard("flip bits", () => FlipBits(node, random));
        World.AfterMs(random.Between(100, 700), () => DamageTurn(node, random));
    }

    private void FlipBits(SimNode node, SimRandom random)
    {
        const string Engine = "/data/engine";
        if (node.Files.DirectoryExists(Engine) && !node.Files.IsDown)
        {
            string[] there =
            [
                .. node
                    .Files.List(Engine)
                    .Where(static name => name.EndsWith(".sst", StringComparison.Ordinal))
                    .Order(StringComparer.Ordinal),
            ];
            foreach (string name in there)
            {
                _tablesSince.TryAdd(name, World.NowMs);
            }

            // While the node is down nothing is being written, and what no manifest lists is thrown away at its start.
            string[] listed = [.. there.Where(name => node.Node is null || World.NowMs - _tablesSince[name] >= ListedAfterMs)];
            if (listed.Length > 0)
            {
                string path = Engine + "/" + random.Pick(listed);
                int length = node.Files.ReadAllBytes(path).Length;
                for (int bits = 1 + random.Next(5); bits > 0 && length > HeaderBytes; bits--)
                {
                    int offset = HeaderBytes + random.Next(length - HeaderBytes);
                    node.Files.FlipBit(path, offset, random.Next(8));
                    node.IsDamaged = true;
                    Statistics.BitsFlipped++;
                    World.Note("flip", node.Index, (ulong)offset);
                    World.Say("flip", () => $"node {node.Index}: a bit of {path} at {offset}");
                }
            }
        }
    }
}
