import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Apache Kafka's tools, one after the other, in this one JVM.
 *
 * A line of the input is "MAIN_CLASS TAB INPUT TAB ARGUMENT TAB ...", where \n and \t in INPUT are an end of line and a tab. Answered by what
 * the tool printed on either stream and by a line of its own, "\u0004 exit CODE".
 */
class Tools {
    static final class Exited extends Error {
        Exited() {
            super("exited", null, false, false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            PrintStream both = new PrintStream(printed, true, StandardCharsets.UTF_8);
            System.setOut(both);
            System.setErr(both);
            System.setIn(new ByteArrayInputStream(words[1].replace("\\n", "\n").replace("\\t", "\t").getBytes(StandardCharsets.UTF_8)));
            int code = run(words[0], Arrays.copyOfRange(words, 2, words.length), both);
            both.flush();
            out.write(printed.toByteArray());
            out.print("\n\u0004 exit " + code + "\n");
            out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    /** What ends the process for a user ends the call here; the first exit counts, as it does there. */
    private static int run(String name, String[] arguments, PrintStream both) throws Exception {
        AtomicReference<Integer> code = new AtomicReference<>();
        Exit.Procedure exit = (status, message) -> {
            code.compareAndSet(null, status);
            throw new Exited();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((hook, runnable) -> hooks.add(runnable));
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> { });
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException e) {
            if (code.get() == null) {
                code.set(1);
                e.getCause().printStackTrace(both);
            }
        }
        hooks.forEach(Runnable::run);
        return code.get() == null ? 0 : code.get();
    }
}
