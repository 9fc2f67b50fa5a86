// The HTTP stand-in for AWS: a simulated region behind the wire protocols that the SDK speaks, with answers as long as AWS's,
// latency, faults, and answers that trickle. For retries, time-outs, CPU, AWS's runtime client, other SDKs.
// Time is real: nothing on the region's timeline comes due. retries.test.ts shows how it is used.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate, setTimeout } from "node:timers/promises";
import { awsError } from "./faults";
import type { Region } from "./region";
import { type AwsRequest, parseRequest, renderAnswer, renderError } from "./wire/protocols";

/** What goes wrong with a call. The region is not asked, or changed, where no answer of its own is given. */
type HttpFault =
    /** The connection is closed without an answer. */
    | "breaks"
    /** There is no answer, and the connection stays open. */
    | "hangs"
    | Trouble;

interface Trouble {
    /** An error, worded in the service's protocol. */
    refused?: Error;
    /** The answer comes this late, in milliseconds after the request. */
    after?: number;
    /** The right answer comes at this many bytes a second. */
    bytesPerSecond?: number;
}

/** A request that has come; times in milliseconds since the process began. */
interface HttpCall extends AwsRequest {
    start: number;
    /** When its answer was sent; NaN: not yet, or never. */
    end: number;
}

/** An error that AWS answers with; 4xx is not tried again by the SDK, apart from throttling. */
export const refusal = (code: string, status = 400, message = "no"): Trouble => ({
    refused: awsError(code, message, status),
});

export class AwsServer {
    /** Since the start, or since it was emptied. */
    calls: HttpCall[] = [];
    /** From a request to its answer, in milliseconds; what it takes to make the answer is within. */
    latency = 0;
    /** What goes wrong with a call; `before` counts the earlier calls of the same action. */
    fault: (call: HttpCall, before: number) => HttpFault | undefined = () => undefined;
    private readonly server = createServer((request, response) => this.respond(request, response));

    private constructor(private region: Region) {
        this.show(region);
    }

    /** Serves a region at a free port of this machine. */
    static async open(region: Region): Promise<AwsServer> {
        const aws = new AwsServer(region);
        await once(aws.server.listen(0, "127.0.0.1"), "listening");
        return aws;
    }

    get url(): string {
        return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    }

    /** Serves another region from now on, and forgets the calls. */
    show(region: Region): void {
        region.close(); // clients of this process shall speak HTTP, not to the region itself
        region.gate = async () => {};
        this.region = region;
        this.calls = [];
    }

    close(): void {
        this.server.close();
        this.server.closeAllConnections();
    }

    /** Calls of an action, in the order that they came. */
    callsOf(action: string): HttpCall[] {
        return this.calls.filter((call) => call.action === action);
    }

    private async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const start = performance.now();
        const target = request.headers["x-amz-target"] as string | undefined;
        const call: HttpCall = { ...parseRequest(await text(request), target), start, end: Number.NaN };
        const before = this.callsOf(call.action).length;
        this.calls.push(call);
        const fault = this.fault(call, before);
        if (fault === "hangs") {
            return;
        }
        if (fault === "breaks") {
            request.socket.destroy();
            return;
        }
        const { refused, after = this.latency, bytesPerSecond }: Trouble = fault ?? {};
        const { status, body } = await this.answerTo(call, refused);
        const bytes = Buffer.from(body);
        await until(start + after);
        call.end = performance.now();
        response.writeHead(status, { "content-length": bytes.length });
        if (bytesPerSecond) {
            await trickle(response, bytes, bytesPerSecond);
        } else {
            response.end(bytes);
        }
    }

    private async answerTo(call: HttpCall, refused?: Error): Promise<{ status: number; body: string }> {
        try {
            if (refused) {
                throw refused;
            }
            this.region.timeline.now = Math.max(this.region.timeline.now, Date.now());
            const output = await this.region.answer(`${call.service}:${call.action}`, call.input);
            return { status: 200, body: renderAnswer(call, output) };
        } catch (error) {
            const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
            return { status: $metadata?.httpStatusCode ?? 500, body: renderError(call, name, message) };
        }
    }
}

// A timer alone may be a millisecond late.
async function until(time: number): Promise<void> {
    const left = time - 2 - performance.now();
    if (left > 0) {
        await setTimeout(left);
    }
    while (performance.now() < time) {
        await setImmediate();
    }
}

async function trickle(response: ServerResponse, bytes: Buffer, perSecond: number): Promise<void> {
    const size = Math.max(1, Math.floor(perSecond / 10));
    for (let sent = 0; sent < bytes.length && !response.destroyed; sent += size) {
        response.write(bytes.subarray(sent, sent + size));
        await setTimeout(100);
    }
    response.end();
}
