namespace Henge.Core;

/// <summary>Finds the name that was probably meant by one that does not exist. Thread-safe.</summary>
public static class NearMiss
{
    private const int MostEdits = 3;

    /// <summary>
    /// The name that is the fewest edits (Levenshtein, 1966) from <paramref name="given"/>, at most 3 and about half of its characters;
    /// null when none is that near.
    /// </summary>
    public static string? Find(string given, IEnumerable<string> names)
    {
        string? best = null;
        int bestEdits = Math.Min(MostEdits, Math.Max(1, (given.Length + 1) / 2)) + 1;
        foreach (string name in names)
        {
            int edits = Distance(given, name);
            if (edits < bestEdits)
            {
                (best, bestEdits) = (name, edits);
            }
        }

        return best;
    }

    /// <summary>How many letters must be put in, taken out or changed to make one text of the other.</summary>
    public static int Distance(string left, string right)
    {
        int[] row = [.. Enumerable.Range(0, right.Length + 1)];
        for (int i = 0; i < left.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < right.Length; j++)
            {
                int above = row[j + 1];
                row[j + 1] = Math.Min(Math.Min(above, row[j]) + 1, diagonal + (left[i] == right[j] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[^1];
    }
}
