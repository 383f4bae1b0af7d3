namespace Henge.Storage;

/// <summary>Tables of one level.</summary>
public readonly record struct LevelStatistics(int Level, int Tables, long Bytes);
