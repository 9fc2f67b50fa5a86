// The packaged function under AWS's own Lambda runtime client on the Node.js that it is deployed for, with the project's SDK and
// those that Lambda has brought: the oldest, that of the current base image, and the newest. Part of `npm run proof`; needs the
// npm registry.
import { install, nodeIn, nodePackage } from "../npm";
import { behavesInLambda } from "./behaviour";

const sdkClients = ["auto-scaling", "cloudwatch", "ec2"];

let runtime: { node: string; client: string };
before(async () => {
    const client = await install("aws-lambda-ric@4.0.2", nodePackage("24"));
    runtime = { node: nodeIn(client), client };
});

describe("On Node.js 24 with the project's SDK the packaged function", () => {
    behavesInLambda(() => runtime);
});

// nodejs24.x began with 3.943; the base image of 2026 has 3.1105.
for (const [which, version] of [
    ["the first SDK", "3.943.0"],
    ["the base image's SDK", "3.1105.0"],
    ["the newest SDK", "latest"],
]) {
    describe(`On Node.js 24 with ${which} of that runtime, ${version}, the packaged function`, () => {
        let sdk = "";
        before(async () => {
            sdk = await install(...sdkClients.map((client) => `@aws-sdk/client-${client}@${version}`));
        });
        behavesInLambda(() => ({ ...runtime, sdk }));
    });
}
