import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.config.ConfigResource;

public class DescribeConfigs {
    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            admin.createTopics(List.of(new NewTopic("golden", 1, (short) 1))).all().get();
            var resources = List.of(new ConfigResource(ConfigResource.Type.TOPIC, "golden"), new ConfigResource(ConfigResource.Type.BROKER, "1"));
            var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            var all = admin.describeConfigs(resources, options).all().get();
            for (var resource : resources) {
                var entries = new ArrayList<>(all.get(resource).entries());
                entries.sort(Comparator.comparing(ConfigEntry::name));
                for (var entry : entries) {
                    var synonyms = new StringBuilder();
                    for (var s : entry.synonyms()) synonyms.append(" ").append(s.source()).append(":").append(s.name()).append("=").append(s.value());
                    System.out.println(resource.type() + "\t" + entry.name() + "\t" + entry.type() + "\t" + entry.value() + "\t" + entry.source()
                        + "\t" + (entry.isReadOnly() ? "read-only" : "dynamic") + "\t" + (entry.isSensitive() ? "sensitive" : "") + "\t" + synonyms.toString().trim());
                }
            }
            admin.deleteTopics(List.of("golden")).all().get();
        }
    }
}
