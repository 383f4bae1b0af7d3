namespace Henge.Storage.Tests.Conformance;

/// <summary>An iterator in either direction, for tests that look at the same in both.</summary>
internal static class IteratorSteps
{
    public static void ToFirst(this EngineIterator iterator, bool backward)
    {
        if (backward)
        {
            iterator.SeekToLast();
        }
        else
        {
            iterator.SeekToFirst();
        }
    }

    public static void Step(this EngineIterator iterator, bool backward)
    {
        if (backward)
        {
            iterator.Prev();
        }
        else
        {
            iterator.Next();
        }
    }
}
