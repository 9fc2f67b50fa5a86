// Evaluates the program, alone in its process, with the settings that it is given: for the benchmark.
import { runProgram } from "../simulator/stack/program";

runProgram({ config: JSON.parse(process.argv[2] ?? "{}") }).then((program) => {
    const millis = performance.now(); // since the process began
    process.send?.({ ...program, millis }, () => process.exit());
});
