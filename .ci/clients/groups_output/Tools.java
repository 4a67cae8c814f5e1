import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the command line tools of Apache Kafka one after another in one JVM: a line of words, parted by tabs, names the class
 * and its arguments; back come the exit code, the count of bytes that it printed, and the bytes.
 */
public class Tools {
    /** What stands in the place of an exit: the tool ends, the JVM goes on. */
    private static final class Exited extends Error {
        final int code;

        Exited(int code) {
            this.code = code;
        }
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        Exit.setExitProcedure((code, message) -> {
            throw new Exited(code);
        });
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null;) {
            String[] words = line.split("\t");
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            PrintStream into = new PrintStream(printed, true, StandardCharsets.UTF_8);
            System.setOut(into);
            System.setErr(into);
            int code = run(words[0], Arrays.copyOfRange(words, 1, words.length));
            into.flush();
            answers.printf("%d %d\n", code, printed.size());
            printed.writeTo(answers);
            answers.flush();
        }
    }

    private static int run(String tool, String[] arguments) throws ReflectiveOperationException {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Exited exited) {
                return exited.code;
            }
            thrown.getCause().printStackTrace();
            return 1;
        }
    }
}
