// Puts a region in place of AWS behind the SDK's clients of this process.
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { EC2Client } from "@aws-sdk/client-ec2";
import { SNSClient } from "@aws-sdk/client-sns";
import type { Region } from "./aws/region";

type SendOptions = { abortSignal?: AbortSignal };

/** The region behind the clients; without one they call AWS. */
let current: Region | undefined;

/** Lets a region answer every command that a client sends from now on. */
export function connectClients(region: Region | undefined): void {
    current = region;
}

const clients = { ec2: EC2Client, autoscaling: AutoScalingClient, cloudwatch: CloudWatchClient, sns: SNSClient };
for (const [service, client] of Object.entries(clients)) {
    const { send } = client.prototype;
    // A library's stub would record every call and answer: histories make millions.
    client.prototype.send = function (this: unknown, command: { input: object }, ...rest: SendOptions[]) {
        const action = `${service}:${command.constructor.name.replace("Command", "")}`;
        return current
            ? current.answer(action, command.input, rest[0]?.abortSignal)
            : Reflect.apply(send, this, [command, ...rest]);
    } as never;
}
