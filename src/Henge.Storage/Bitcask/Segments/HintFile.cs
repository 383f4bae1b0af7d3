using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>Writes hint files. Memory: one block.</summary>
internal static class HintFile
{
    private const int BlockBytes = 64 << 10;

    /// <summary>
    /// Reads a sealed segment from end to end, each checksum of it, and writes what it holds to a hint in place of one that may be there. A
    /// hint that a crash left half-written is noticed by whoever reads it.
    /// </summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Corruption"/>: the segment is damaged.</exception>
    public static void Write(SegmentStore store, Segment segment)
    {
        string path = store.HintPathOf(segment.Id);
        if (store.Files.FileExists(path))
        {
            store.Files.Delete(path);
        }

        IFile file = store.Files.Open(path, FileOpenMode.CreateNew);
        try
        {
            using (file)
            {
                var writer = new Writer(file, segment);
                SegmentScan.ReadSealed(segment, writer.Add);
                writer.Finish();
            }

            segment.HasHint = true;
        }
        catch
        {
            store.TryDelete(BitcaskFiles.Hint(segment.Id));
            throw;
        }
    }

    private sealed class Writer
    {
        private readonly IFile _file;
        private readonly ulong _salt;
        private byte[] _block = new byte[HintFormat.BlockHeaderBytes + BlockBytes];
        private int _length = HintFormat.BlockHeaderBytes;
        private long _at;
        private ulong _count;

        public Writer(IFile file, Segment segment)
        {
            _file = file;
            _salt = segment.Header.Salt;
            byte[] header = new byte[HintFormat.HeaderBytes];
            HintFormat.WriteHeader(header, segment.Header, segment.End);
            file.Write(0, header);
            _at = header.Length;
        }

        public void Add(in StoredEntry entry, uint offset)
        {
            if (entry.IsPosition)
            {
                return;
            }

            int size = HintFormat.SizeOf(entry.Kind, entry.Key.Length);
            if (_length + size > _block.Length)
            {
                Flush();
            }

            if (_length + size > _block.Length)
            {
                Array.Resize(ref _block, _length + size);
            }

            _length += HintFormat.Write(_block.AsSpan(_length), entry, offset);
            _count++;
        }

        public void Finish()
        {
            Flush();
            byte[] last = new byte[HintFormat.LastBlockBytes];
            BinaryPrimitives.WriteUInt64LittleEndian(last.AsSpan(8), _count);
            BinaryPrimitives.WriteUInt32LittleEndian(last.AsSpan(4), HintFormat.Checksum(_salt, 0, last.AsSpan(8)));
            _file.Write(_at, last);
        }

        private void Flush()
        {
            int length = _length - HintFormat.BlockHeaderBytes;
            if (length == 0)
            {
                return;
            }

            BinaryPrimitives.WriteUInt32LittleEndian(_block, (uint)length);
            BinaryPrimitives.WriteUInt32LittleEndian(
                _block.AsSpan(4),
                HintFormat.Checksum(_salt, (uint)length, _block.AsSpan(HintFormat.BlockHeaderBytes, length)));
            _file.Write(_at, _block.AsSpan(0, _length));
            _at += _length;
            _length = HintFormat.BlockHeaderBytes;
        }
    }
}
