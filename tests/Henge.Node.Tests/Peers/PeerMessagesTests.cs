using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Peers;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Peers;

/// <summary>Messages between the doors of nodes.</summary>
public sealed class PeerMessagesTests
{
    [Fact]
    public void Messages_reach_all_other_nodes_and_one_that_cannot_be_reached_is_counted()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        List<string>[] heard = [[], [], []];
        IPeerMessages[] messages = [.. cluster.Nodes.Select(static n => n.Running.Messages)];
        for (int i = 0; i < 3; i++)
        {
            List<string> mine = heard[i];
            messages[i].Receiver = (from, message) => mine.Add($"{from}:{Encoding.UTF8.GetString(message)}");
        }

        Publish(messages[1], "one", "two");
        cluster.RunUntil(() => heard[0].Count == 2 && heard[2].Count == 2);
        NodeId second = cluster.Nodes[1].Running.Id, third = cluster.Nodes[2].Running.Id;
        Assert.Equal([$"{second}:one", $"{second}:two"], heard[0].Order());
        Assert.Equal([$"{second}:one", $"{second}:two"], heard[2].Order());
        Assert.Empty(heard[1]);

        // Posted together, they leave together: what is lost is lost for that node only, and counted one by one.
        cluster.Network.Lose = (_, to, frame) =>
            to == third && frame.Length > PeerFrame.HeaderBytes && (PeerRecordKind)frame[PeerFrame.HeaderBytes] == PeerRecordKind.Message;
        Publish(messages[1], "three", "four", "five");
        cluster.RunUntil(() => heard[0].Count == 5);
        Assert.Equal(["three", "four", "five"], heard[0][2..].Select(static m => m[(m.IndexOf(':', StringComparison.Ordinal) + 1)..]));
        Assert.Equal(2, heard[2].Count);
        Assert.Equal(3, messages[1].DroppedFor(third));
        Assert.Equal(0, messages[1].DroppedFor(cluster.Nodes[0].Running.Id));
        Assert.Null(cluster.Nodes[0].FatalMessage);
    }

    [Fact]
    public void Large_messages_leave_before_too_many_are_gathered()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        int longest = 0, count = 0;
        cluster.Network.Lose = (_, _, frame) =>
        {
            if (frame.Length > PeerFrame.HeaderBytes && (PeerRecordKind)frame[PeerFrame.HeaderBytes] == PeerRecordKind.Message)
            {
                longest = Math.Max(longest, frame.Length);
            }

            return false;
        };
        cluster.Nodes[2].Running.Messages.Receiver = (_, _) => count++;
        Publish(cluster.Nodes[0].Running.Messages, [.. Enumerable.Repeat(new string('x', 100_000), 20)]);
        cluster.RunUntil(() => count == 20);
        Assert.InRange(longest, 100_000, 256 * 1024);
    }

    private static void Publish(IPeerMessages messages, params string[] texts)
    {
        foreach (string text in texts)
        {
            messages.Post(Encoding.UTF8.GetBytes(text[..1]), Encoding.UTF8.GetBytes(text[1..]));
        }

        messages.Flush();
    }
}
