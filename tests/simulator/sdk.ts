// Puts a region in place of AWS behind the SDK's clients of this process.
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { EC2Client } from "@aws-sdk/client-ec2";
import { SNSClient } from "@aws-sdk/client-sns";

/** Answers commands; rejects with the SDK's errors. */
interface Answering {
    answer(action: string, input: object, abortSignal?: AbortSignal): Promise<object>;
}

interface Command {
    constructor: { name: string };
    input: object;
}

/** The region behind the clients; without one they call AWS. */
let current: Answering | undefined;

/** Lets a region answer every command that a client sends from now on. */
export function connectClients(region: Answering | undefined): void {
    current = region;
}

for (const [service, client] of Object.entries({
    ec2: EC2Client,
    autoscaling: AutoScalingClient,
    cloudwatch: CloudWatchClient,
    sns: SNSClient,
})) {
    const { send } = client.prototype;
    // A library's stub would record every call and answer: histories make millions.
    client.prototype.send = function (this: unknown, command: Command, ...rest: { abortSignal?: AbortSignal }[]) {
        const action = `${service}:${command.constructor.name.replace("Command", "")}`;
        return current
            ? current.answer(action, command.input, rest[0]?.abortSignal)
            : Reflect.apply(send, this, [command, ...rest]);
    } as never;
}
