using Henge.Cli;
using Henge.Native;

return NodeCommands.MayBeCommand(args)
    ? NodeProgram.Run(args)
    : await ProcessContext.RunAsync(static context => new CliApp(context), args).ConfigureAwait(false);
