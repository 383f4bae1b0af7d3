using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Testing.Files;

/// <content>The operations of the seam.</content>
public sealed partial class SimulatedFileSystem
{
    private int _shortWriteBytes = -1;

    /// <inheritdoc/>
    public IFile Open(string path, FileOpenMode mode)
    {
        lock (_gate)
        {
            if (mode != FileOpenMode.CreateNew)
            {
                bool crash = Enter(FileOperationKind.Open, path);
                SimulatedInode found = FindFile(path);
                ThrowIf(crash, path);
                found.References++;
                return new SimulatedFile(this, found, path, mode, _epoch);
            }

            bool crashing = Enter(FileOperationKind.Create, path);
            (SimulatedDirectory parent, string name) = FindParent(path);
            if (parent.Entries.ContainsKey(name))
            {
                throw new IOException($"Cannot create '{path}': the file exists.");
            }

            var file = new SimulatedInode { References = 1 };
            ChangeNames(new NameChange(file, null, null, parent, name), path, crashing);
            file.References++;
            return new SimulatedFile(this, file, path, mode, _epoch);
        }
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        lock (_gate)
        {
            ThrowIfDown(path);
            return Find(path) is SimulatedInode;
        }
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path)
    {
        lock (_gate)
        {
            ThrowIfDown(path);
            return Find(path) is SimulatedDirectory;
        }
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.Delete, path);
            SimulatedInode file = FindFile(path);
            (SimulatedDirectory parent, string name) = FindParent(path);
            ChangeNames(new NameChange(file, parent, name, null, null), path, crash);
            Release(file);
        }
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.Rename, from);
            SimulatedInode file = FindFile(from);
            (SimulatedDirectory oldParent, string oldName) = FindParent(from);
            (SimulatedDirectory newParent, string newName) = FindParent(to);
            SimulatedNode? replaced = newParent.Entries.GetValueOrDefault(newName);
            if (replaced is SimulatedDirectory)
            {
                throw new IOException($"Cannot rename '{from}' to '{to}': that is a directory.");
            }

            if (replaced == file)
            {
                return;
            }

            ChangeNames(new NameChange(file, oldParent, oldName, newParent, newName), from, crash);
            if (replaced is SimulatedInode old)
            {
                Release(old);
            }
        }
    }

    /// <inheritdoc/>
    public void Link(string existing, string newName)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.Link, existing);
            SimulatedInode file = FindFile(existing);
            (SimulatedDirectory parent, string name) = FindParent(newName);
            if (parent.Entries.ContainsKey(name))
            {
                throw new IOException($"Cannot link '{existing}' as '{newName}': that name exists.");
            }

            ChangeNames(new NameChange(file, null, null, parent, name), existing, crash);
            file.References++;
        }
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.CreateDirectory, path);
            SimulatedDirectory at = _root;
            foreach (string name in Split(path))
            {
                if (!at.Entries.TryGetValue(name, out SimulatedNode? node))
                {
                    node = new SimulatedDirectory();
                    ChangeNames(new NameChange(node, null, null, at, name), path, crash);
                }

                at = node as SimulatedDirectory ?? throw new IOException($"Cannot create the directory '{path}': '{name}' is a file.");
            }

            ThrowIf(crash, path);
        }
    }

    /// <inheritdoc/>
    public void DeleteDirectory(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.DeleteDirectory, path);
            SimulatedDirectory directory = FindDirectory(path);
            if (directory.Entries.Count > 0)
            {
                throw new IOException($"Cannot delete the directory '{path}': it is not empty.");
            }

            (SimulatedDirectory parent, string name) = FindParent(path);
            ChangeNames(new NameChange(directory, parent, name, null, null), path, crash);
        }
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.SyncDirectory, path);
            _statistics = _statistics with { DirectorySyncs = _statistics.DirectorySyncs + 1 };
            SimulatedDirectory directory = FindDirectory(path);
            if (!crash || Chance(2) == 0)
            {
                foreach (NameChange change in _unsyncedNames)
                {
                    if (change.Touches(directory))
                    {
                        change.ApplyDurably();
                    }
                }

                _unsyncedNames.RemoveAll(c => c.Touches(directory));
            }

            ThrowIf(crash, path);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.List, path);
            ThrowIf(crash, path);
            return [.. FindDirectory(path).Entries.Keys];
        }
    }

    /// <inheritdoc/>
    public IDisposable Lock(string path)
    {
        lock (_gate)
        {
            bool crash = Enter(FileOperationKind.Lock, path);
            (SimulatedDirectory parent, string name) = FindParent(path);
            if (!parent.Entries.ContainsKey(name))
            {
                ChangeNames(new NameChange(new SimulatedInode { References = 1 }, null, null, parent, name), path, crash);
            }

            ThrowIf(crash, path);
            string key = string.Join('/', Split(path));
            return _locks.Add(key)
                ? new HeldLock(this, key, _epoch)
                : throw new HengeException(
                    ErrorCode.Locked,
                    $"'{path}' is locked by another process. Stop that process, or use another directory.");
        }
    }

    /// <inheritdoc/>
    public long AvailableBytes(string path)
    {
        lock (_gate)
        {
            ThrowIfDown(path);
            return CapacityBytes - _usedBytes;
        }
    }

    internal long LengthOf(SimulatedFile file)
    {
        lock (_gate)
        {
            ThrowIfDead(file);
            return file.Inode.Length;
        }
    }

    internal int Read(SimulatedFile file, long offset, Span<byte> buffer)
    {
        lock (_gate)
        {
            ThrowIfDead(file);
            ThrowIf(Enter(FileOperationKind.Read, file.Path, offset, buffer.Length), file.Path);
            int read = file.Inode.Read(offset, buffer);
            _statistics = _statistics with { Reads = _statistics.Reads + 1, BytesRead = _statistics.BytesRead + read };
            return read;
        }
    }

    internal void Write(SimulatedFile file, long offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            ThrowIfDead(file, writing: true);
            bool crash = Enter(FileOperationKind.Write, file.Path, offset, data.Length);
            int shortBytes = _shortWriteBytes;
            ReadOnlySpan<byte> written = crash ? data[..Chance(data.Length + 1)] : shortBytes >= 0 ? data[..shortBytes] : data;
            if (written.Length > 0)
            {
                Grow(file, offset + written.Length);
                file.Inode.Write(offset, written);
            }

            _statistics = _statistics with { Writes = _statistics.Writes + 1, BytesWritten = _statistics.BytesWritten + written.Length };
            ThrowIf(crash, file.Path);
            if (shortBytes >= 0)
            {
                throw new IOException(
                    $"Simulated I/O error after {shortBytes} of {data.Length} bytes written at offset {offset} of '{file.Path}'.");
            }
        }
    }

    internal void Sync(SimulatedFile file)
    {
        lock (_gate)
        {
            ThrowIfDead(file);
            _statistics = _statistics with { Syncs = _statistics.Syncs + 1 };
            bool crash;
            try
            {
                crash = Enter(FileOperationKind.Sync, file.Path);
            }
            catch (IOException e) when (e is not CrashException)
            {
                file.Inode.FailSync(new Random((int)OperationCount));
                throw;
            }

            if (!crash || Chance(2) == 0)
            {
                file.Inode.Sync();
            }

            ThrowIf(crash, file.Path);
        }
    }

    internal void SetLength(SimulatedFile file, FileOperationKind kind, long length)
    {
        lock (_gate)
        {
            ThrowIfDead(file, writing: true);
            bool crash = Enter(kind, file.Path, length);
            if (kind == FileOperationKind.Truncate || length > file.Inode.Length)
            {
                Grow(file, length);
                if (!crash || Chance(2) == 0)
                {
                    _usedBytes -= Math.Max(0, file.Inode.Length - length);
                    file.Inode.SetLength(length);
                }
            }

            ThrowIf(crash, file.Path);
        }
    }

    internal void Close(SimulatedFile file)
    {
        lock (_gate)
        {
            if (!file.Disposed)
            {
                file.Disposed = true;
                if (file.Epoch == _epoch)
                {
                    Release(file.Inode);
                }
            }
        }
    }

    private void Grow(SimulatedFile file, long length)
    {
        long more = Math.Max(0, length - file.Inode.Length);
        if (more > CapacityBytes - _usedBytes)
        {
            throw new DiskFullException(
                $"Cannot grow '{file.Path}' to {length} bytes: the simulated disk has {CapacityBytes - _usedBytes} bytes left.");
        }

        _usedBytes += more;
    }

    private void Release(SimulatedInode file)
    {
        if (--file.References == 0)
        {
            _usedBytes -= file.Length;
        }
    }

    private void Unlink(SimulatedDirectory parent, string name)
    {
        if (parent.Entries.Remove(name, out SimulatedNode? node) && node is SimulatedInode file)
        {
            Release(file);
        }
    }

    private void ChangeNames(NameChange change, string path, bool crash)
    {
        if (!crash || Chance(2) == 0)
        {
            change.ApplyNow();
            _unsyncedNames.Add(change);
        }

        ThrowIf(crash, path);
    }

    private void ThrowIf(bool crash, string path)
    {
        if (crash)
        {
            throw GoDown(path);
        }
    }

    private void ThrowIfDead(SimulatedFile file, bool writing = false)
    {
        if (file.Epoch != _epoch)
        {
            throw new CrashException($"The handle of '{file.Path}' is from before a crash.");
        }

        ObjectDisposedException.ThrowIf(file.Disposed, file);
        if (writing && !file.Writable)
        {
            throw new IOException($"'{file.Path}' is open for reading only.");
        }
    }

    private SimulatedNode? Find(string path)
    {
        SimulatedNode node = _root;
        foreach (string name in Split(path))
        {
            if (node is not SimulatedDirectory directory || !directory.Entries.TryGetValue(name, out SimulatedNode? child))
            {
                return null;
            }

            node = child;
        }

        return node;
    }

    private SimulatedInode FindFile(string path) => Find(path) as SimulatedInode
        ?? throw new FileNotFoundException($"There is no file '{path}'.", path);

    private SimulatedDirectory FindDirectory(string path) => Find(path) as SimulatedDirectory
        ?? throw new DirectoryNotFoundException($"There is no directory '{path}'.");

    private (SimulatedDirectory Parent, string Name) FindParent(string path)
    {
        List<string> parts = Split(path);
        if (parts.Count == 0)
        {
            throw new IOException($"'{path}' is the root.");
        }

        SimulatedNode? parent = Find(string.Join('/', parts.Take(parts.Count - 1)));
        return (parent as SimulatedDirectory ?? throw new DirectoryNotFoundException($"There is no directory for '{path}'."), parts[^1]);
    }

    private static List<string> Split(string path)
    {
        var parts = new List<string>();
        foreach (string part in path.Split(['/', '\\'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("." or ".."))
            {
                parts.Add(part);
            }
        }

        return parts;
    }

    private sealed class HeldLock(SimulatedFileSystem owner, string key, int epoch) : IDisposable
    {
        private bool _released;

        public void Dispose()
        {
            lock (owner._gate)
            {
                if (!_released && epoch == owner._epoch)
                {
                    owner._locks.Remove(key);
                }

                _released = true;
            }
        }
    }
}
