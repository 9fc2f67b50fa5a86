// Puts a region in place of AWS behind the SDK's clients of this process.
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { EC2Client } from "@aws-sdk/client-ec2";
import { mockClient } from "aws-sdk-client-mock";

/** Whatever answers commands; rejects with the SDK's errors. */
interface Answering {
    answer(action: string, input: object, abortSignal?: AbortSignal): Promise<object>;
}

/** The region behind the clients; without one they call AWS. */
let current: Answering | undefined;

/** Lets a region answer every command that a client sends from now on. */
export function connectClients(region: Answering): void {
    current = region;
}

/** The clients call AWS again. */
export function disconnectClients(): void {
    current = undefined;
    for (const mock of mocks) {
        mock.resetHistory();
    }
}

// Made once, not for each region: the library keeps every stub.
const mocks = Object.entries({ ec2: EC2Client, autoscaling: AutoScalingClient, cloudwatch: CloudWatchClient }).map(
    ([service, client]) => {
        const { send } = client.prototype;
        const mock = mockClient(client as typeof EC2Client);
        // biome-ignore lint/suspicious/noExplicitAny: the mock's stub gets whatever command is sent
        (mock as any).send.callsFake(function (this: unknown, command: any, ...rest: never[]) {
            return current
                ? current.answer(
                      `${service}:${command.constructor.name.replace("Command", "")}`,
                      command.input,
                      (rest[0] as { abortSignal?: AbortSignal } | undefined)?.abortSignal,
                  )
                : Reflect.apply(send, this, [command, ...rest]);
        });
        return mock;
    },
);
