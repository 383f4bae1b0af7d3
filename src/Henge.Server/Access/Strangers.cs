using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Access;

/// <summary>
/// The connections of RESP, JSON lines and Thrift that have yet to log in, while access is checked: so many at a time, and each for so
/// long. Over the number the one that has waited longest is ended, and not the new one: a crowd that never logs in must not keep out who
/// does so at once. Thread-safe.
/// </summary>
internal sealed class Strangers : IDisposable
{
    private readonly int _most;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly Action? _ended;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();

    // Who came first is first.
    private readonly LinkedList<Stranger> _waiting = [];

    /// <param name="most">How many at a time.</param>
    /// <param name="patience">For how long each.</param>
    /// <param name="time">Whose time it is; null: this machine's.</param>
    /// <param name="ended">Told of each that is ended; null: nobody is.</param>
    public Strangers(int most, TimeSpan patience, TimeProvider? time = null, Action? ended = null)
    {
        (_most, _patience, _ended) = (most, patience, ended);
        _time = time ?? TimeProvider.System;
        _timer = _time.CreateTimer(
            static all => ((Strangers)all!).EndLate(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many there are now.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>The place of a connection, which it takes by <see cref="Stranger.Enter"/> and has to leave before it ends.</summary>
    public Stranger Of(ConnectionContext connection) => new(this, connection);

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    internal void Enter(LinkedListNode<Stranger> place)
    {
        Stranger? first = null;
        lock (_gate)
        {
            if (place.List is not null)
            {
                return;
            }

            place.Value.Since = _time.GetTimestamp();
            _waiting.AddLast(place);
            if (_waiting.Count == 1)
            {
                Arm();
            }
            else if (_waiting.Count > _most)
            {
                first = _waiting.First!.Value;
                _waiting.RemoveFirst();
            }
        }

        End(first, "Too many connections have not logged in (limit-unauthenticated-connections).");
    }

    internal void Leave(LinkedListNode<Stranger> place)
    {
        lock (_gate)
        {
            if (place.List is not null)
            {
                _waiting.Remove(place);
            }
        }
    }

    private void EndLate()
    {
        while (true)
        {
            Stranger late;
            lock (_gate)
            {
                if (_waiting.First is not { } first)
                {
                    return;
                }

                if (_time.GetElapsedTime(first.Value.Since) < _patience)
                {
                    Arm();
                    return;
                }

                late = first.Value;
                _waiting.RemoveFirst();
            }

            End(late, "The client has not logged in in time (login-timeout).");
        }
    }

    // For the first one; a timer that comes too early finds out.
    private void Arm()
    {
        TimeSpan left = _patience - _time.GetElapsedTime(_waiting.First!.Value.Since);
        _timer.Change(left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private void End(Stranger? stranger, string why)
    {
        if (stranger is not null)
        {
            _ended?.Invoke();
            stranger.Connection.Abort(new ConnectionAbortedException(why));
        }
    }
}

/// <summary>A connection's place among those that have not logged in. Thread-safe.</summary>
internal sealed class Stranger
{
    private readonly Strangers _all;
    private readonly LinkedListNode<Stranger> _place;

    public Stranger(Strangers all, ConnectionContext connection)
    {
        (_all, Connection) = (all, connection);
        _place = new LinkedListNode<Stranger>(this);
    }

    /// <summary>The connection.</summary>
    public ConnectionContext Connection { get; }

    /// <summary>When it took its place, as a timestamp.</summary>
    internal long Since { get; set; }

    /// <summary>Takes the place, from now on; what has one keeps it.</summary>
    public void Enter() => _all.Enter(_place);

    /// <summary>Leaves the place: it has logged in, or is gone.</summary>
    public void Leave() => _all.Leave(_place);
}
