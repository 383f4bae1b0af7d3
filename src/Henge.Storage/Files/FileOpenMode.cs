namespace Henge.Storage.Files;

/// <summary>How <see cref="IFileSystem.Open"/> opens a file.</summary>
public enum FileOpenMode
{
    /// <summary>An existing file, for reading only.</summary>
    Read,
    /// <summary>An existing file, for reading and writing.</summary>
    ReadWrite,
    /// <summary>A new file, for reading and writing; an error if it exists.</summary>
    CreateNew,
}
