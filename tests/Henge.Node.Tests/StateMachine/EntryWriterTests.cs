using Henge.Node.StateMachine;
using Version = Henge.Core.Version;

namespace Henge.Node.Tests.StateMachine;

public sealed class EntryWriterTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(300)]
    public void It_writes_what_the_builder_builds_into_memory_of_that_size(int commands)
    {
        Random random = new(commands);
        EntryBuilder builder = new();
        List<byte[]> all = [];
        for (int i = 0; i < commands; i++)
        {
            byte[] command = new byte[random.Next(1, 1_000)];
            random.NextBytes(command);
            all.Add(command);
            builder.Add(command);
        }

        EntryWriter writer = new(all.Sum(static command => EntryWriter.BytesOf(command.Length)));
        foreach (byte[] command in all)
        {
            writer.Add(command);
        }

        Version version = new(4_711_000);
        Assert.Equal(builder.ToArray(version), writer.Finish(version, commands));
    }
}
