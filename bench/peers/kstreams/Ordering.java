import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams, exactly once v2, one thread: a processor with a persistent store and its changelog.
 *
 * <p>Arguments: --name value. Events, commands and states are Avro; the ten bytes before a body are
 * those of the single-object encoding and are given as --event-prefix and --command-prefix in hex.
 */
public final class Ordering implements Processor<String, GenericRecord, String, GenericRecord> {
  private static final String PAD = "yyyy";

  private final Schema state;
  private final Schema command;
  private final String pad;
  private KeyValueStore<String, GenericRecord> store;
  private ProcessorContext<String, GenericRecord> context;

  private Ordering(Schema state, Schema command, String pad) {
    this.state = state;
    this.command = command;
    this.pad = pad;
  }

  @Override
  public void init(ProcessorContext<String, GenericRecord> given) {
    context = given;
    store = given.getStateStore("orders");
  }

  @Override
  public void process(Record<String, GenericRecord> record) {
    GenericRecord event = record.value();
    GenericRecord now = store.get(record.key());
    long count = now == null ? 1 : (Long) now.get("count") + 1;
    long total = (now == null ? 0 : (Long) now.get("total")) + (Long) event.get(4);
    GenericRecord after = new GenericData.Record(state);
    after.put(0, count);
    after.put(1, total);
    after.put(2, count % 10 == 0 ? "settled" : "open");
    after.put(3, event.get(0));
    after.put(4, pad);
    store.put(record.key(), after);
    GenericRecord out = new GenericData.Record(command);
    Object[] fields = {event.get(0), event.get(1), event.get(2), "ShipOrder", count, total, event.get(5), PAD};
    for (int i = 0; i < fields.length; i++) {
      out.put(i, fields[i]);
    }
    context.forward(record.withValue(out));
  }

  private static Serde<GenericRecord> serde(Schema schema, byte[] prefix) {
    var writer = new GenericDatumWriter<GenericRecord>(schema);
    var reader = new GenericDatumReader<GenericRecord>(schema);
    var buffer = new ByteArrayOutputStream(512);
    BinaryEncoder[] encoder = {null}; // one thread: they may be used again
    BinaryDecoder[] decoder = {null};
    return Serdes.serdeFrom(
        (topic, value) -> {
          try {
            buffer.reset();
            buffer.write(prefix);
            encoder[0] = EncoderFactory.get().binaryEncoder(buffer, encoder[0]);
            writer.write(value, encoder[0]);
            encoder[0].flush();
            return buffer.toByteArray();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          try {
            int skip = prefix.length;
            decoder[0] = DecoderFactory.get().binaryDecoder(bytes, skip, bytes.length - skip, decoder[0]);
            return reader.read(null, decoder[0]);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private static Schema schema(String path) throws IOException {
    Schema found = new Schema.Parser().parse(new File(path));
    for (Schema.Field field : found.getFields()) {
      if (field.schema().getType() == Schema.Type.STRING) {
        GenericData.setStringType(field.schema(), GenericData.StringType.String);
      }
    }
    return found;
  }

  private static byte[] hex(String text) {
    return java.util.HexFormat.of().parseHex(text);
  }

  public static void main(String[] given) throws Exception {
    Map<String, String> told = new HashMap<>();
    for (int i = 0; i + 1 < given.length; i += 2) {
      told.put(given[i].substring(2), given[i + 1]);
    }
    Schema event = schema(told.get("event"));
    Schema command = schema(told.get("command"));
    Schema state = schema(told.get("state"));
    String pad = told.get("state_pad");
    var store =
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("orders"), Serdes.String(), serde(state, new byte[0]))
            .withLoggingEnabled(Map.of());
    store = Boolean.parseBoolean(told.get("cached")) ? store.withCachingEnabled() : store.withCachingDisabled();
    var topology = new Topology();
    topology.addSource(
        "events",
        Serdes.String().deserializer(),
        serde(event, hex(told.get("event-prefix"))).deserializer(),
        told.get("source"));
    topology.addProcessor("ordering", () -> new Ordering(state, command, pad), "events");
    topology.addStateStore(store, "ordering");
    topology.addSink(
        "commands",
        told.get("commands"),
        Serdes.String().serializer(),
        serde(command, hex(told.get("command-prefix"))).serializer(),
        "ordering");
    run(new KafkaStreams(topology, properties(told)), Path.of(told.get("stats")));
  }

  private static Properties properties(Map<String, String> told) {
    var found = new Properties();
    found.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("group"));
    found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("servers"));
    found.put(StreamsConfig.STATE_DIR_CONFIG, told.get("state_dir"));
    found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    found.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told.get("interval_ms"));
    found.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return found;
  }

  private static void run(KafkaStreams streams, Path stats) throws InterruptedException {
    var done = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  write(streams, stats);
                  streams.close(Duration.ofSeconds(20));
                  done.countDown();
                }));
    streams.start();
    done.await();
  }

  /** Its own metrics: an average and a maximum, no quantiles. */
  private static void write(KafkaStreams streams, Path stats) {
    double[] found = {0, 0};
    String[] names = {"commit-latency-avg", "commit-latency-max"};
    streams.metrics().forEach(
        (name, metric) -> {
          int at = Arrays.asList(names).indexOf(name.name());
          if (at >= 0 && name.group().equals("stream-thread-metrics") && metric.metricValue() instanceof Double value) {
            found[at] = value;
          }
        });
    String text = String.format(Locale.ROOT, "{\"commit\": {\"avg_ms\": %.2f, \"max_ms\": %.2f}}", found[0], found[1]);
    try {
      Files.writeString(stats, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
