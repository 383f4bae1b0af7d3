namespace Henge.Storage.Logs;

/// <summary>Damage that was found.</summary>
/// <param name="Path">The file.</param>
/// <param name="Offset">Where in the file.</param>
/// <param name="What">What is wrong.</param>
public sealed record LogDamage(string Path, long Offset, string What)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Path}: offset {Offset}: {What}";
}
