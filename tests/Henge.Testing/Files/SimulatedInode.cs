namespace Henge.Testing.Files;

internal abstract class SimulatedNode;

/// <summary>The contents of a file: pages as they are, and for pages changed since the last sync what they were.</summary>
internal sealed class SimulatedInode : SimulatedNode
{
    internal const int PageBytes = 4096;
    private const int SectorBytes = 512;
    // More states of a page than this are not remembered: a crash then picks among the first ones and the last.
    private const int RememberedVersions = 6;

    // A null page is all zeros.
    private readonly List<byte[]?> _pages = [];
    private readonly SortedDictionary<int, DirtyPage> _dirty = [];
    private long _durableLength;
    private int _doomed;

    private sealed class DirtyPage(byte[]? durable)
    {
        public byte[]? Durable { get; set; } = durable;

        public List<byte[]?>? Between { get; set; }

        /// <summary>A sync failed: the kernel believes the page to be clean, the disk does not have it.</summary>
        public bool Doomed { get; set; }
    }

    internal long Length { get; private set; }

    /// <summary>Names and open handles; the space is free when there are none.</summary>
    internal int References { get; set; }

    internal int Read(long offset, Span<byte> buffer)
    {
        int count = (int)Math.Clamp(Length - offset, 0, buffer.Length);
        for (int done = 0; done < count;)
        {
            (int page, int start) = Locate(offset + done);
            int take = Math.Min(PageBytes - start, count - done);
            if (page < _pages.Count && _pages[page] is { } bytes)
            {
                bytes.AsSpan(start, take).CopyTo(buffer[done..]);
            }
            else
            {
                buffer.Slice(done, take).Clear();
            }

            done += take;
        }

        return count;
    }

    internal void Write(long offset, ReadOnlySpan<byte> data)
    {
        for (int done = 0; done < data.Length;)
        {
            (int page, int start) = Locate(offset + done);
            int take = Math.Min(PageBytes - start, data.Length - done);
            ReadOnlySpan<byte> part = data.Slice(done, take);
            BeforeChange(page);
            if (_pages[page] is { } bytes)
            {
                part.CopyTo(bytes.AsSpan(start));
            }
            else if (part.ContainsAnyExcept((byte)0))
            {
                bytes = new byte[PageBytes];
                part.CopyTo(bytes.AsSpan(start));
                _pages[page] = bytes;
            }

            done += take;
        }

        Length = Math.Max(Length, offset + data.Length);
    }

    internal void SetLength(long length)
    {
        if (length < Length)
        {
            int first = (int)((length + PageBytes - 1) / PageBytes);
            for (int page = first; page < _pages.Count; page++)
            {
                if (_pages[page] is not null)
                {
                    BeforeChange(page);
                    _pages[page] = null;
                }
            }

            (int last, int start) = Locate(length);
            if (start != 0 && last < _pages.Count && _pages[last] is { } bytes)
            {
                BeforeChange(last);
                bytes.AsSpan(start).Clear();
            }
        }

        Length = length;
    }

    internal void Sync()
    {
        if (_doomed == 0)
        {
            _dirty.Clear();
        }
        else
        {
            foreach (int page in _dirty.Where(static p => !p.Value.Doomed).Select(static p => p.Key).ToArray())
            {
                _dirty.Remove(page);
            }
        }

        _durableLength = Length;
    }

    internal void FailSync(Random random)
    {
        foreach (DirtyPage page in _dirty.Values)
        {
            if (!page.Doomed && random.Next(2) == 0)
            {
                page.Doomed = true;
                page.Between = null;
                _doomed++;
            }
        }
    }

    /// <summary>Power loss. Afterwards everything that is left is durable.</summary>
    internal void LosePower(Random? random)
    {
        long length = _durableLength;
        if (random is not null && Length != _durableLength)
        {
            length = random.Next(3) switch
            {
                0 => _durableLength,
                1 => Length,
                _ => Length < _durableLength
                    ? Length
                    : Math.Min(
                        Length,
                        (_durableLength / PageBytes + 1 + random.NextInt64((Length - _durableLength) / PageBytes + 1)) * PageBytes),
            };
        }

        foreach ((int index, DirtyPage page) in _dirty)
        {
            _pages[index] = random is null || page.Doomed ? page.Durable : Pick(page, _pages[index], random);
        }

        _dirty.Clear();
        Length = Math.Max(Length, length);
        SetLength(length);
        _dirty.Clear();
        _doomed = 0;
        _durableLength = Length;
    }

    internal void FlipBit(long offset, int bit)
    {
        // Rot where nothing is would be a fault that never happened.
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, Length);
        (int page, int start) = Locate(offset);
        while (_pages.Count <= page)
        {
            _pages.Add(null);
        }

        (_pages[page] ??= new byte[PageBytes])[start] ^= (byte)(1 << bit);
        if (_dirty.TryGetValue(page, out DirtyPage? dirty))
        {
            (dirty.Durable ??= new byte[PageBytes])[start] ^= (byte)(1 << bit);
        }
    }

    internal SimulatedInode Clone()
    {
        var copy = new SimulatedInode { Length = Length, _durableLength = _durableLength, _doomed = _doomed };
        copy._pages.AddRange(_pages.Select(static p => (byte[]?)p?.Clone()));
        foreach ((int index, DirtyPage page) in _dirty)
        {
            // States of the past never change: they can be shared. Durable ones can, by a flipped bit.
            copy._dirty[index] = new DirtyPage((byte[]?)page.Durable?.Clone()) { Between = page.Between?.ToList(), Doomed = page.Doomed };
        }

        return copy;
    }

    private static byte[]? Pick(DirtyPage page, byte[]? current, Random random)
    {
        int between = page.Between?.Count ?? 0;
        byte[]? State(int i) => i == 0 ? page.Durable : i > between ? current : page.Between![i - 1];
        int chosen = random.Next(between + 2);
        byte[]? state = State(chosen);
        if (chosen == 0 || random.Next(4) != 0)
        {
            return state;
        }

        // The power went while the page was on its way: some sectors are of the state before.
        byte[] mixed = new byte[PageBytes];
        byte[]? before = State(chosen - 1);
        for (int at = 0; at < PageBytes; at += SectorBytes)
        {
            byte[]? source = random.Next(2) == 0 ? state : before;
            source?.AsSpan(at, SectorBytes).CopyTo(mixed.AsSpan(at));
        }

        return mixed;
    }

    private void BeforeChange(int page)
    {
        while (_pages.Count <= page)
        {
            _pages.Add(null);
        }

        if (!_dirty.TryGetValue(page, out DirtyPage? dirty))
        {
            _dirty[page] = new DirtyPage((byte[]?)_pages[page]?.Clone());
            return;
        }

        if (dirty.Doomed)
        {
            dirty.Doomed = false;
            _doomed--;
        }

        if ((dirty.Between ??= []).Count < RememberedVersions)
        {
            dirty.Between.Add((byte[]?)_pages[page]?.Clone());
        }
    }

    private static (int Page, int Start) Locate(long offset) => ((int)(offset / PageBytes), (int)(offset % PageBytes));
}
