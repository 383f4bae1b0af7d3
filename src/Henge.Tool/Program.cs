using Henge.Cli;
using Henge.Tool;

return await ProcessContext.RunAsync(static context => new CliApp(context, ToolCommands.Create), args).ConfigureAwait(false);
