// The packaged function under AWS's own Lambda runtime client, with this Node.js and the project's SDK.
import { expect } from "chai";
import { type Program, runProgram } from "../../simulator/stack/program";
import { behavesInLambda } from "./behaviour";
import { Lambda } from "./lambda";

describe("Under AWS's Lambda runtime client the packaged function", () => {
    behavesInLambda(() => ({}));
});

describe("The runtime client of these tests", () => {
    const awsUrl = "http://127.0.0.1:9"; // nothing listens there
    let program: Program;
    let lambda: Lambda | undefined;

    before(async () => {
        program = await runProgram();
    });
    afterEach(async () => {
        await lambda?.stop();
    });

    it("refuses a handler that takes a callback, as Node.js 24 in Lambda does", async () => {
        const text = "exports.handler = (event, context, callback) => callback(null, event);";
        lambda = await Lambda.start({ program, awsUrl }, text);
        expect(await lambda.initError()).to.contain("Runtime.CallbackHandlerDeprecated");
    });

    it("finds no package of the project but the SDK", async () => {
        lambda = await Lambda.start({ program, awsUrl }, 'require("yaml");');
        expect(await lambda.initError()).to.contain("Cannot find module 'yaml'");
    });
});
