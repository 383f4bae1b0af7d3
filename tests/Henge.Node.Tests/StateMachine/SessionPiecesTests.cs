using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Testing;

namespace Henge.Node.Tests.StateMachine;

/// <summary>Sessions that cut their room out of the same arrays, give it back and take it again: none may see another's results.</summary>
public sealed class SessionPiecesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Sessions_that_share_room_keep_their_results_apart(int seed)
    {
        var random = new Random(seed);
        var room = new SessionPieces();
        var sessions = new List<(Session Session, SortedDictionary<ulong, long> Model)>();
        for (int step = 0; step < 60_000; step++)
        {
            if (sessions.Count == 0 || random.Next(500) == 0)
            {
                sessions.Add((new Session((ulong)step, room), []));
            }

            int at = random.Next(sessions.Count);
            (Session session, SortedDictionary<ulong, long> model) = sessions[at];
            switch (random.Next(sessions.Count > 60 ? 9 : 8))
            {
                case < 5:
                    // Mostly the next number; at times one that comes late.
                    ulong sequence =
                        model.Count == 0 || random.Next(4) > 0
                            ? (model.Count == 0 ? session.Forgotten : model.Keys.Last()) + 1 + (ulong)random.Next(3)
                            : model.Keys.First() + (ulong)random.Next(40);
                    int found = session.Find(sequence);
                    Assert.Equal(model.ContainsKey(sequence), found >= 0);
                    if (found < 0)
                    {
                        session.Insert(
                            ~found,
                            sequence,
                            new CommandResult(CommandStatus.Ok, new Core.Version(1), Number: step),
                            [],
                            payloadLost: false,
                            Session.Unwritten);
                        session.UnwrittenCount++;
                        model.Add(sequence, step);
                    }

                    break;
                case < 8:
                    for (int i = random.Next(random.Next(20) == 0 ? 200 : 6); i > 0 && model.Count > 0; i--)
                    {
                        session.EvictLowest();
                        model.Remove(model.Keys.First());
                    }

                    break;
                default:
                    session.Release();
                    sessions.RemoveAt(at);
                    continue;
            }

            Check(session, model);
        }

        foreach ((Session session, SortedDictionary<ulong, long> model) in sessions)
        {
            Check(session, model);
        }
    }

    [Fact]
    public void Full_windows_allocate_nothing()
    {
        var room = new SessionPieces();
        Session[] sessions = [.. Enumerable.Range(1, 20).Select(i => new Session((ulong)i, room))];
        ulong sequence = 0;
        void Round()
        {
            for (int i = 0; i < 100; i++)
            {
                sequence++;
                foreach (Session session in sessions)
                {
                    while (session.Count >= 256)
                    {
                        session.EvictLowest();
                    }

                    session.Insert(
                        session.Count,
                        sequence,
                        new CommandResult(CommandStatus.Ok, new Core.Version(sequence)),
                        [],
                        payloadLost: false,
                        Session.Unwritten);
                    session.UnwrittenCount++;
                }
            }
        }

        for (int i = 0; i < 10; i++)
        {
            Round();
        }

        Assert.Equal(0, Allocations.Fewest(Round));
    }

    private static void Check(Session session, SortedDictionary<ulong, long> model)
    {
        Assert.Equal(model.Count, session.Count);
        int i = 0;
        foreach ((ulong sequence, long number) in model)
        {
            Assert.Equal(sequence, session[i].Sequence);
            Assert.Equal(number, session[i].Result.Number);
            i++;
        }
    }
}
