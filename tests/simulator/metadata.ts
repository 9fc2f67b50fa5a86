// A stand-in for the metadata service of one instance: IMDSv2 only, with tags that may be shown or not.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const token = "AQAEAKz1-_stand/in+token==";
export const tokenPath = "/latest/api/token";
export const tagsPath = "/latest/meta-data/tags/instance";
export const leaderTagPath = `${tagsPath}/app:isLeader`;
export const lifecyclePath = "/latest/meta-data/autoscaling/target-lifecycle-state";

export const instanceId = "i-0123456789abcdef0";
export const region = "eu-central-1";
export const since = "2025-03-01T10:20:30.456Z";
export const groupTag = { "aws:autoscaling:groupName": "awseb-e-shop" };
export const leaderTags = { ...groupTag, "app:isLeader": "true", "app:isLeader:since": since };
export const followerTags = { ...groupTag, Name: "shop" };

/** An answer to a request: a status with what goes with it, or none, or one that breaks off, or a reset. */
export type Answer = Response | "hangs" | "breaks" | "resets";
type Response = { status: number; body?: string; headers?: Record<string, string> };

/**
 * Listens on a port of its own until `stop`. What it shows can be changed at any time.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export class Metadata {
    /** The paths asked for, in order. */
    readonly paths: string[] = [];
    /** Requests that the real service would refuse: they must not happen. */
    readonly refused: string[] = [];
    /** Answers that replace the real ones, by path; "*" is for all that have none of their own. */
    instead: Record<string, Answer> = {};
    /** How many of these are given before all is well again. */
    troubles = Number.POSITIVE_INFINITY;
    millisecondsForAnAnswer = 0;
    /** What `autoscaling/target-lifecycle-state` says; outside a group there is none. */
    lifecycle: string | undefined = "InService";
    id = instanceId;
    /** Tokens that it takes; forgetting them makes it answer with 401. */
    token = token;
    connections = 0;

    private constructor(
        readonly endpoint: string,
        /** Undefined if metadata doesn't show tags. */
        public tags: Record<string, string> | undefined,
        private readonly server: Server,
    ) {
        server.on("request", (request, response) => this.answer(request, response));
        server.on("connection", () => this.connections++);
    }

    static async start(tags: Record<string, string> | undefined, port = 0): Promise<Metadata> {
        const server = createServer();
        await once(server.listen(port, "127.0.0.1"), "listening");
        return new Metadata(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, tags, server);
    }

    stop(): void {
        this.server.close();
        this.server.closeAllConnections();
    }

    private answer(request: IncomingMessage, response: ServerResponse): void {
        const path = request.url ?? "";
        this.paths.push(path);
        const answer = this.refusal(request, path) ?? this.trouble(path) ?? this.content(path);
        if (answer === "hangs") {
            return;
        }
        if (answer === "resets") {
            request.socket.resetAndDestroy();
            return;
        }
        if (answer === "breaks") {
            response.writeHead(200, { "content-length": 400 }).write("true");
            setTimeout(() => response.destroy(), 20);
            return;
        }
        const respond = () => response.writeHead(answer.status, answer.headers).end(answer.body);
        setTimeout(respond, this.millisecondsForAnAnswer);
    }

    private trouble(path: string): Answer | undefined {
        const answer = this.instead[path] ?? this.instead["*"];
        return answer !== undefined && this.troubles-- > 0 ? answer : undefined;
    }

    private refusal({ method, headers }: IncomingMessage, path: string): Answer | undefined {
        const seconds = Number(headers["x-aws-ec2-metadata-token-ttl-seconds"]);
        const shown = headers["x-aws-ec2-metadata-token"];
        const getsToken = method === "PUT" && seconds >= 1 && seconds <= 21600;
        if (path === tokenPath ? getsToken : method === "GET" && shown === this.token) {
            return undefined;
        }
        if (path === tokenPath || shown === undefined || this.token === token) {
            this.refused.push(`${method} ${path}`);
        }
        return { status: path === tokenPath ? 400 : 401 };
    }

    private content(path: string): Answer {
        const tags = Object.entries(this.tags ?? {}).map(([key, value]) => [`${tagsPath}/${key}`, value]);
        const contents: Record<string, string> = {
            [tokenPath]: this.token,
            "/latest/meta-data/instance-id": this.id,
            "/latest/meta-data/placement/region": region,
            ...(this.lifecycle !== undefined && { [lifecyclePath]: this.lifecycle }),
            ...(this.tags && { [tagsPath]: Object.keys(this.tags).join("\n") }),
            ...Object.fromEntries(tags),
        };
        return Object.hasOwn(contents, path)
            ? { status: 200, body: contents[path] }
            : { status: 404, body: "<html>\n<head><title>404 - Not Found</title></head>\n</html>\n" };
    }
}
