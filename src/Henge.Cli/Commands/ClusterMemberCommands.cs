using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Output;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>
/// <c>henge cluster remove</c>, <c>replace</c>, <c>cancel</c>, <c>drain</c> and <c>undrain</c>: where a member stands in its life.
/// </summary>
internal static class ClusterMemberCommands
{
    public static Command Remove(CliContext context, GlobalOptions globals)
    {
        Argument<string> node = NodeArgument("The node that goes, for ever.");
        ChangeOptions options = new(
            "Wait until the node has no data any more and has left.",
            "Also when it cannot be finished yet, or, of a node that is down, when something is lost by it: it is then gone at once.");
        Command command = new("remove", "Have a node leave the cluster, after others have taken over what it has.") { node };
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string name = parse.GetRequiredValue(node);
            return new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Remove, NodeId = name },
                change => change.State == "left" ? $"{name} has left." : $"{name} is leaving. henge cluster moves shows how far it is.",
                WaitGoal.Left(name),
                cancellationToken);
        });
        return command.WithExamples(
            "henge cluster remove node3 --dry-run",
            "henge cluster remove node3 --wait",
            "henge cluster remove node3 --force");
    }

    public static Command Replace(CliContext context, GlobalOptions globals)
    {
        Argument<string> node = NodeArgument("The node that goes, for ever.");
        Option<string> with = new("--with")
        {
            Description = "The node that takes over what it has: a member that is up.",
            HelpName = "node",
            Required = true,
        };
        ChangeOptions options = new(
            "Wait until the replicas are made and the old node has left.",
            "Also when something is lost with the old node: it is then gone at once.");
        Command command = new("replace", "Have another node take the place of one, which leaves; it may be down.") { node, with };
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string name = parse.GetRequiredValue(node), successor = parse.GetRequiredValue(with);
            return new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Remove, NodeId = name, SuccessorId = successor },
                change => change.State == "left"
                    ? $"{name} has left; {successor} takes its place."
                    : $"{successor} takes the place of {name}, which is leaving.",
                WaitGoal.Left(name),
                cancellationToken);
        });
        return command.WithExamples(
            "henge cluster replace node2 --with node4 --dry-run",
            "henge cluster replace node2 --with node4 --wait");
    }

    public static Command Cancel(CliContext context, GlobalOptions globals)
    {
        Argument<string?> node = new("node")
        {
            Description = "The node that stays after all; none: stop what was to move between nodes that stay.",
            HelpName = "node",
            Arity = ArgumentArity.ZeroOrOne,
        };
        ChangeOptions options = new();
        Command command = new("cancel", "Have a node stay that is leaving, or stop a rebalance. What has begun to move is finished.")
        {
            node,
        };
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string? name = parse.GetValue(node);
            return new ClusterChangeRun(context, globals, parse, options).RunAsync(
                name is null
                    ? new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.CancelMoves }
                    : new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Cancel, NodeId = name },
                change => name is null ? "What had not begun to move stays where it is." : $"{name} stays: it is {change.State}.",
                null,
                cancellationToken);
        });
        return command.WithExamples("henge cluster cancel node3", "henge cluster cancel");
    }

    public static Command Drain(CliContext context, GlobalOptions globals)
    {
        Argument<string> node = NodeArgument("The node that is to be stopped for a while.");
        ChangeOptions options = new("Wait until the node leads nothing.", "Also when shards cannot be served while it is stopped.");
        Command command = new("drain", "Have a node lead nothing and take nothing new, for maintenance. It keeps its replicas.") { node };
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string name = parse.GetRequiredValue(node);
            return new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Drain, NodeId = name },
                _ => $"{name} is being drained.",
                WaitGoal.LeadsNothing(name),
                cancellationToken);
        });
        return command.WithExamples("henge cluster drain node2 --wait", "henge cluster drain node2 --dry-run");
    }

    public static Command Undrain(CliContext context, GlobalOptions globals)
    {
        Argument<string> node = NodeArgument("The node that is back.");
        ChangeOptions options = new();
        Command command = new("undrain", "Have a node take part again that was drained.") { node };
        options.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string name = parse.GetRequiredValue(node);
            return new ClusterChangeRun(context, globals, parse, options).RunAsync(
                new Wire.ChangeRequest { Kind = Wire.ChangeRequest.Types.Kind.Undrain, NodeId = name },
                _ => $"{name} takes part again.",
                null,
                cancellationToken);
        });
        return command.WithExamples("henge cluster undrain node2");
    }

    private static Argument<string> NodeArgument(string description) => new("node") { Description = description, HelpName = "node" };
}
