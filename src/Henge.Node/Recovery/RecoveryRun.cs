using Henge.Cluster.Recovery;
using Henge.Core;
using Henge.Node.Replication;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Recovery;

/// <summary>Steps of a plan that this node does, until all are durable, or one cannot be done, or time is up. Thread-safe.</summary>
internal sealed class RecoveryRun(
    string plan,
    IReadOnlyList<RecoveryStep> steps,
    Worker[] workers,
    long deadlineMs,
    Action<HengeException?> answered)
{
    private readonly int[] _asked = new int[steps.Count];
    private int _left = steps.Count;
    private int _ended;

    /// <summary>True once it was answered.</summary>
    public bool HasEnded => Volatile.Read(ref _ended) != 0;

    /// <summary>Asks the workers of all shards that are not durable yet.</summary>
    public void GoOn(long nowMs)
    {
        if (nowMs >= deadlineMs)
        {
            End(new HengeException(
                ErrorCode.Unavailable,
                "This node has not written its part of the recovery down yet; its disk may be slow. Say the same again."));
            return;
        }

        for (int i = 0; i < steps.Count && !HasEnded; i++)
        {
            int number = i;
            if (Interlocked.Exchange(ref _asked[number], 1) == 0)
            {
                workers[steps[number].Shard.Value % (uint)workers.Length].Post(new WorkerAction(w => Do(w, number)));
            }
        }
    }

    private void Do(Worker worker, int number)
    {
        RecoveryStep step = steps[number];
        IReplica? replica = worker.ReplicaOf(step.Shard);
        RecoveryStatus status = replica switch
        {
            // It went on from here, and has gone elsewhere since: nobody else comes to that term. It must not begin a second time.
            AbsentShard absent when absent.LastTerm >= step.Term => RecoveryStatus.Durable,
            AbsentShard absent when step.IsEmpty => absent.Begin().Recover(step, plan),
            ShardReplica present => present.Recover(step, plan),

            // On its way out: soon it is absent.
            LeavingShard => RecoveryStatus.Written,
            _ => RecoveryStatus.Differs,
        };
        if (status == RecoveryStatus.Differs)
        {
            End(new HengeException(
                ErrorCode.InvalidArgument,
                $"What this node has of {step.Shard} is not what it was when plan {plan} was made. Nothing was done about it. Make a new "
                    + "plan."));
        }
        else if (status == RecoveryStatus.Written)
        {
            Volatile.Write(ref _asked[number], 0);
        }
        else if (Interlocked.Decrement(ref _left) == 0)
        {
            End(null);
        }
    }

    private void End(HengeException? problem)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            answered(problem);
        }
    }
}
