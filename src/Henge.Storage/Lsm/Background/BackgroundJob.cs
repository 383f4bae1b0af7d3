using System.Collections;

namespace Henge.Storage.Lsm.Background;

/// <summary>
/// A job's steps, guarded: what goes wrong in one goes to <paramref name="ended"/>, and closing the engine waits for the step that is under
/// way and gives up what the job holds. Thread-safe.
/// </summary>
/// <param name="steps">The steps; what they hold is given back in their finally blocks.</param>
/// <param name="ended">Called once, when the job has come to its end (null) or failed; not when it was disposed of before.</param>
internal sealed class BackgroundJob(IEnumerator<BackgroundPoint> steps, Action<Exception?> ended) : IEnumerator<BackgroundPoint>
{
    private readonly Lock _lock = new();
    private bool _isFinished;

    public BackgroundPoint Current { get; private set; }

    object IEnumerator.Current => Current;

    public bool MoveNext()
    {
        Exception? failure = null;
        lock (_lock)
        {
            if (_isFinished)
            {
                return false;
            }

            try
            {
                if (steps.MoveNext())
                {
                    Current = steps.Current;
                    return true;
                }
            }
            catch (Exception error)
            {
                failure = error;
            }

            _isFinished = true;
            steps.Dispose();
        }

        ended(failure);
        return false;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (!_isFinished)
            {
                _isFinished = true;
                steps.Dispose();
            }
        }
    }

    public void Reset() => throw new NotSupportedException("A job runs once.");
}
