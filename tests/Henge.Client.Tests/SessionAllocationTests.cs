using Google.Protobuf;
using Henge.Client.Ordering;
using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Sessions;
using Henge.Client.Transport;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>What an operation costs beside its batch: from the caller to the buffer, and from the answer to the caller.</summary>
public sealed class SessionAllocationTests
{
    private const int ValueBytes = 64;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_operation_allocates_its_value_and_nothing_else(bool read)
    {
        HengeClientOptions options = new() { Peers = ["127.0.0.1:1"] };
        using NodeTransport transport = new(options);
        Router router = new(options);
        RetryBudget budget = new(options.RetryBudget, options.TimeProvider);
        WriteLanes lanes = new();
        using SessionDispatcher dispatcher = new(
            transport,
            router,
            new RequestRunner(transport, router, budget, options),
            budget,
            lanes,
            new KeyTurns(),
            voider: null,
            options);
        CallTable table = new();
        SessionBuffer buffer = new();
        byte[] value = new byte[ValueBytes];
        byte[] getAnswer = new Wire.SessionResult
        {
            Get = new Wire.GetResponse
            {
                Found = true,
                Value = ByteString.CopyFrom(value),
                Version = 1UL << 50,
            },
        }.ToByteArray();
        byte[] putAnswer = new Wire.SessionResult
        {
            Put = new Wire.PutResponse { Success = true, Version = 1UL << 50 },
        }.ToByteArray();

        void Operate()
        {
            SessionCall call = dispatcher.Rent();
            call.Kind = read ? SessionCallKind.Get : SessionCallKind.Put;
            if (read)
            {
                call.RentTexts("user:1001", null);
                call.GetOptions = GetOptions.Default;
            }
            else
            {
                call.RentTexts("user:1001", "some value of a user");
                call.PutOptions = PutOptions.Default;
                call.Number = lanes.Rent(0);
            }

            Assert.True(table.TryAdd(call));
            int size = SessionEncoder.SizeOf(call, options);
            SessionEncoder.Write(buffer.Take(SessionEncoder.ElementSizeOf(call, size)), call, size, options);
            if (buffer.Length > 50_000)
            {
                buffer.Seal();
                buffer.Clear();
            }

            _ = router.Choose(call.Key.Span, null);
            SessionResultFields result = SessionResultFields.Read(read ? getAnswer : putAnswer);
            Assert.True(table.TryRemove(call.Id, out SessionCall? found));
            SessionDecoder.ReadResult(found, result, router);
            budget.OnSuccess();
            short token = call.Version;
            ((IThreadPoolWorkItem)call).Execute();
            if (read)
            {
                ValueTask<GetResult> get = new(call, token);
                Assert.True(get.GetAwaiter().GetResult().Value.Length == ValueBytes);
            }
            else
            {
                ValueTask<PutResult> put = new(call, token);
                Assert.True(put.GetAwaiter().GetResult().Succeeded);
            }
        }

        for (int i = 0; i < 2000; i++)
        {
            Operate();
        }

        const int operations = 10_000;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < operations; i++)
        {
            Operate();
        }

        double each = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)operations;
        int expected = read ? ValueBytes + 24 : 0;
        Assert.InRange(each, expected, expected + 2);
    }
}
