// The script for instances, against a stand-in for their metadata and a stub of the AWS CLI.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
    accessSync,
    chmodSync,
    constants,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    statSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { root } from "../simulator/stack/program";

const script = join(root, "election", "instance", "leader-only");
const shells = ["dash", "bash"];
const howToInstall: Record<string, string> = { timeout: "coreutils" };

const token = "AQAEAKz1-_stand/in+token==";
const tokenPath = "/latest/api/token";
const tagsPath = "/latest/meta-data/tags/instance";
const instanceId = "i-0123456789abcdef0";
const region = "eu-central-1";
const since = "2025-03-01T10:20:30.456Z";
const groupTag = { "aws:autoscaling:groupName": "awseb-e-shop" };
const leaderTags = { ...groupTag, "app:isLeader": "true", "app:isLeader:since": since };
const followerTags = { ...groupTag, Name: "shop" };

/** What the metadata service says to a request, or how it says nothing. */
type Answer = { status: number; body?: string; headers?: Record<string, string> } | "hangs" | "breaks";

/** The instance's metadata service, IMDSv2 only. Its tags may be readable or not. */
class Metadata {
    /** The paths asked for, in order. */
    readonly paths: string[] = [];
    /** Requests that the real service would refuse: they must not happen. */
    readonly refused: string[] = [];
    /** What it says instead of what it should. */
    instead: Record<string, Answer> = {};
    millisecondsForAnAnswer = 0;

    private constructor(
        readonly endpoint: string,
        private readonly tags: Record<string, string> | undefined,
        private readonly server: Server,
    ) {
        server.on("request", (request, response) => this.answer(request, response));
    }

    static async start(tags: Record<string, string> | undefined): Promise<Metadata> {
        const server = createServer();
        await once(server.listen(0, "127.0.0.1"), "listening");
        return new Metadata(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, tags, server);
    }

    stop(): void {
        this.server.close();
        this.server.closeAllConnections();
    }

    private answer(request: IncomingMessage, response: ServerResponse): void {
        const path = request.url ?? "";
        this.paths.push(path);
        const answer = this.refusal(request, path) ?? this.instead[path] ?? this.content(path);
        if (answer === "hangs") {
            return;
        }
        if (answer === "breaks") {
            response.writeHead(200, { "content-length": 400 }).write("true");
            setTimeout(() => response.destroy(), 20);
            return;
        }
        setTimeout(
            () => response.writeHead(answer.status, answer.headers).end(answer.body),
            this.millisecondsForAnAnswer,
        );
    }

    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
    private refusal({ method, headers }: IncomingMessage, path: string): Answer | undefined {
        const seconds = Number(headers["x-aws-ec2-metadata-token-ttl-seconds"]);
        const isGood =
            path === tokenPath
                ? method === "PUT" && seconds >= 1 && seconds <= 21600
                : method === "GET" && headers["x-aws-ec2-metadata-token"] === token;
        if (isGood) {
            return undefined;
        }
        this.refused.push(`${method} ${path}`);
        return { status: path === tokenPath ? 400 : 401 };
    }

    private content(path: string): Answer {
        const tags = this.tags && Object.entries(this.tags).map(([key, value]) => [`${tagsPath}/${key}`, value]);
        const contents: Record<string, string> = {
            [tokenPath]: token,
            "/latest/meta-data/instance-id": instanceId,
            "/latest/meta-data/placement/region": region,
            ...(this.tags && { [tagsPath]: Object.keys(this.tags).join("\n") }),
            ...(tags && Object.fromEntries(tags)),
        };
        return path in contents
            ? { status: 200, body: contents[path] }
            : { status: 404, body: "<html>Not Found</html>" };
    }
}

interface Outcome {
    status: number | null;
    signal: string | null;
    stdout: string;
    stderr: string;
    pid: number | undefined;
    seconds: number;
}

describe("leader-only", function () {
    this.timeout(15000);

    const directory = mkdtempSync(join(tmpdir(), "leader-only-"));
    const tools = join(directory, "tools");
    const services: Metadata[] = [];
    /** What the script asks unless a test says otherwise. */
    let metadata: Metadata;
    let stubs: string[] = [];

    const job = ["echo", "the job ran"];
    const saysTrue = "printf 'true\\tNone\\n'"; // an AWS CLI's answer
    const saysSince = `printf 'true\\t${since}\\n'`;
    const ran = { status: 0, stdout: "the job ran\n", stderr: "" };
    const leftAlone = { status: 1, stdout: "", stderr: "" }; // with --strict
    const leftAloneSilently = { status: 0, stdout: "", stderr: "" };

    before(function () {
        for (const tool of [...shells, "curl", "timeout"]) {
            insist(this, tool);
        }
        // All that the script may use, and what the jobs of these tests are made of.
        mkdirSync(tools);
        for (const tool of ["curl", "timeout", "sed", "sh", "echo", "cat", "env", "sleep"]) {
            symlinkSync(find(tool) ?? tool, join(tools, tool));
        }
    });

    after(() => {
        stopServices();
        rmSync(directory, { recursive: true });
    });

    beforeEach(async () => {
        stubs = [];
        await launch(leaderTags);
    });

    afterEach(() => {
        const refused = services.flatMap((service) => service.refused);
        stopServices();
        expect(refused, "requests that are not IMDSv2").to.deep.equal([]);
    });

    function stopServices(): void {
        for (const service of services.splice(0)) {
            service.stop();
        }
    }

    async function serve(tags: Record<string, string> | undefined): Promise<Metadata> {
        const service = await Metadata.start(tags);
        services.push(service);
        return service;
    }

    function find(tool: string): string | undefined {
        return (process.env.PATH ?? "")
            .split(delimiter)
            .map((place) => join(place, tool))
            .find((path) => {
                try {
                    accessSync(path, constants.X_OK);
                    return statSync(path).isFile();
                } catch {
                    return false;
                }
            });
    }

    /** Without the tool the tests are pending, but fail where all of them have to run. */
    function insist(context: Mocha.Context, tool: string): void {
        if (find(tool)) {
            return;
        }
        const hint = `${tool} is not installed: apt-get install ${howToInstall[tool] ?? tool}`;
        if (process.env.CI === "true") {
            throw new Error(hint);
        }
        console.log(`    ${hint}`);
        context.skip();
    }

    /** From now on the script is on an instance with these tags, or with none that metadata shows. */
    async function launch(tags: Record<string, string> | undefined, instead: Record<string, Answer> = {}) {
        metadata = await serve(tags);
        metadata.instead = instead;
    }

    /** Installs an AWS CLI that notes its arguments and then runs this; gives what reads them, call by call. */
    function installCli(body: string): () => string[][] {
        const place = mkdtempSync(join(directory, "cli-"));
        const calls = join(place, "calls");
        writeFileSync(
            join(place, "aws"),
            `#!/bin/sh\n{ for argument; do printf '%s\\0' "$argument"; done; echo; } >>"${calls}"\n${body}\n`,
        );
        chmodSync(join(place, "aws"), 0o755);
        stubs = [place];
        return () => {
            const lines = existsSync(calls) ? readFileSync(calls, "utf8").split("\n").slice(0, -1) : [];
            return lines.map((line) => line.split("\0").slice(0, -1));
        };
    }

    interface Options {
        env?: Record<string, string>;
        input?: string;
        from?: Metadata;
    }

    const environment = (from: Metadata) => ({
        PATH: [...stubs, tools].join(delimiter),
        AWS_EC2_METADATA_SERVICE_ENDPOINT: from.endpoint,
        HOME: directory,
    });

    async function run(shell: string, args: string[], { env, input = "", from = metadata }: Options = {}) {
        const started = performance.now();
        const child = spawn(find(shell) as string, [script, ...args], { env: { ...environment(from), ...env } });
        child.stdin.on("error", () => {}); // a job need not read what it is given
        child.stdin.end(input);
        const tooLong = setTimeout(() => {
            child.kill("SIGKILL");
            child.stdout.destroy(new Error("it was still running after 6 seconds"));
            child.stderr.destroy();
        }, 6000);
        const [stdout, stderr, [status, signal]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]).finally(() => clearTimeout(tooLong));
        const seconds = (performance.now() - started) / 1000;
        return { status, signal, stdout, stderr, pid: child.pid, seconds } as Outcome;
    }

    /** The script says one sentence; before it there may be what others said. */
    function expectNoTelling({ status, stdout, stderr }: Outcome, reason: RegExp, others = /^$/): void {
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
        const start = stderr.indexOf("leader-only: ");
        expect(stderr.slice(start)).to.match(/^leader-only: can't tell whether this instance leads: .+\n$/);
        expect(stderr.slice(start)).to.match(reason);
        expect(stderr.slice(0, start)).to.match(others);
    }

    function expectWrongUsage({ status, stdout, stderr }: Outcome, reason: RegExp): void {
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
        expect(stderr).to.match(reason);
        expect(metadata.paths).to.deep.equal([]);
    }

    for (const shell of shells) {
        describe(`under ${shell}`, () => {
            describe("with tags in the instance's metadata", () => {
                it("runs the command on the leader, for one token and one question", async () => {
                    expect(await run(shell, job)).to.deep.include(ran);
                    expect(metadata.paths).to.deep.equal([tokenPath, `${tagsPath}/app:isLeader`]);
                });

                it("leaves the command alone, silently, on an instance that has other tags", async () => {
                    await launch(followerTags);
                    expect(await run(shell, job)).to.deep.include(leftAloneSilently);
                    expect(metadata.paths).to.deep.equal([tokenPath, `${tagsPath}/app:isLeader`, tagsPath]);
                });

                it("says so with --strict", async () => {
                    await launch(followerTags);
                    expect(await run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                    expect(await run(shell, ["--strict", ...job], { from: await serve(leaderTags) })).to.deep.include(
                        ran,
                    );
                });

                for (const value of ["True", "TRUE", "tRuE"]) {
                    it(`takes the value ${value} for the leader's`, async () => {
                        await launch({ ...groupTag, "app:isLeader": value });
                        expect(await run(shell, ["--strict", ...job])).to.deep.include(ran);
                    });
                }

                for (const value of ["false", "", "yes", "1", " true", "true ", "truely", "untrue", "None"]) {
                    it(`doesn't take the value ${JSON.stringify(value)} for the leader's`, async () => {
                        await launch({ ...leaderTags, "app:isLeader": value });
                        expect(await run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                    });
                }

                it("never asks the AWS CLI", async () => {
                    const calls = installCli(saysTrue);
                    await launch(followerTags);
                    expect(await run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                    expect(await run(shell, job, { from: await serve(leaderTags) })).to.deep.include(ran);
                    expect(calls()).to.deep.equal([]);
                });

                it("goes through no proxy, and minds no curl configuration", async () => {
                    const proxy = await serve(followerTags);
                    const home = mkdtempSync(join(directory, "home-"));
                    writeFileSync(join(home, ".curlrc"), `proxy = ${proxy.endpoint}\ninclude\n`);
                    const env = { HOME: home, http_proxy: proxy.endpoint, ALL_PROXY: proxy.endpoint, no_proxy: "" };
                    expect(await run(shell, job, { env })).to.deep.include(ran);
                    expect(proxy.paths).to.deep.equal([]);
                });

                it("finds the endpoint with a slash at its end, too", async () => {
                    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: `${metadata.endpoint}/` };
                    expect(await run(shell, job, { env })).to.deep.include(ran);
                });
            });

            describe("told another tag", () => {
                const odd = "0aZ_+=,.@:-";
                const tags = { ...groupTag, "shop:primary:eu": "true", [odd]: "true", "app:isLeader": "false" };
                const ways: Record<string, [string[], Record<string, string>]> = {
                    "with --tag": [["--tag", "shop:primary:eu"], {}],
                    "with LEADER_TAG": [[], { LEADER_TAG: "shop:primary:eu" }],
                    "with --tag, which counts more than LEADER_TAG": [
                        ["--tag", "shop:primary:eu"],
                        { LEADER_TAG: "app:isLeader" },
                    ],
                    "of all the characters that are allowed": [["--tag", odd], {}],
                };
                for (const [how, [args, env]] of Object.entries(ways)) {
                    it(`looks at it, when told ${how}`, async () => {
                        await launch(tags);
                        expect(await run(shell, ["--strict", ...args, ...job], { env })).to.deep.include(ran);
                        expect(await run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                    });
                }

                it("looks at app:isLeader if LEADER_TAG is empty", async () => {
                    expect(await run(shell, ["--strict", ...job], { env: { LEADER_TAG: "" } })).to.deep.include(ran);
                });
            });

            describe("without tags in the instance's metadata", () => {
                beforeEach(() => launch(undefined));

                const ways: Record<string, Record<string, Answer>> = {
                    "are not found": {},
                    // The service has been seen to do this as well.
                    "are an empty list": { [tagsPath]: { status: 200, body: "" } },
                };
                for (const [how, instead] of Object.entries(ways)) {
                    it(`asks the AWS CLI if they ${how}`, async () => {
                        metadata.instead = instead;
                        const calls = installCli(saysSince);
                        expect(await run(shell, ["--strict", ...job])).to.deep.include(ran);
                        expect(calls()).to.have.length(1);
                    });
                }

                it("asks for the two tags of this instance in its region, and for one line of text", async () => {
                    const calls = installCli(saysSince);
                    expect(await run(shell, ["--tag", "a,b=c", ...job])).to.deep.include(ran);
                    const [[service, command, ...options]] = calls();
                    expect([service, command]).to.deep.equal(["ec2", "describe-tags"]);
                    const { "--filters": filters, ...others } = Object.fromEntries(
                        Array.from({ length: options.length / 2 }, (_, place) =>
                            options.slice(2 * place, 2 * place + 2),
                        ),
                    );
                    expect(JSON.parse(filters)).to.deep.equal([
                        { Name: "resource-id", Values: [instanceId] },
                        { Name: "key", Values: ["a,b=c", "a,b=c:since"] },
                    ]);
                    expect(others).to.deep.equal({
                        "--region": region,
                        "--query": "[Tags[?Key=='a,b=c'].Value | [0], Tags[?Key=='a,b=c:since'].Value | [0]]",
                        "--output": "text",
                    });
                });

                const followers = { "no tag": "None\\tNone\\n", nothing: "", "another value": `false\\t${since}\\n` };
                for (const [what, answer] of Object.entries(followers)) {
                    it(`leaves the command alone if the AWS CLI finds ${what}`, async () => {
                        const calls = installCli(`printf '${answer}'`);
                        expect(await run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                        expect(await run(shell, job)).to.deep.include(leftAloneSilently);
                        expect(calls()).to.have.length(2);
                    });
                }

                it("takes the value TRUE for the leader's", async () => {
                    installCli("printf 'TRUE\\tNone\\n'");
                    expect(await run(shell, ["--strict", ...job])).to.deep.include(ran);
                });

                it("can't tell if there is no AWS CLI", async () => {
                    expectNoTelling(await run(shell, job), /has no tags, and the AWS CLI is not installed/);
                });

                it("can't tell if the AWS CLI fails, whatever it printed, and shows what it complains of", async () => {
                    installCli(`${saysSince}; echo UnauthorizedOperation >&2; exit 254`);
                    const outcome = await run(shell, job);
                    expectNoTelling(outcome, /the AWS CLI failed \(exit status 254\)/, /^UnauthorizedOperation\n$/);
                });

                for (const garbage of ["true\\tNone\\ntrue\\tNone\\n", "<true/>\\tNone\\n", "\\033[1mtrue\\tNone\\n"]) {
                    it(`can't tell if the AWS CLI prints ${JSON.stringify(garbage)}`, async () => {
                        installCli(`printf '${garbage}'`);
                        expectNoTelling(await run(shell, job), /more than one answer|no tag's value/);
                    });
                }

                const unknown: Record<string, Answer> = {
                    missing: { status: 404 },
                    empty: { status: 200, body: "" },
                    odd: { status: 200, body: 'eu-1" --endpoint-url "http://example.com' },
                };
                for (const item of ["instance-id", "placement/region"]) {
                    for (const [how, answer] of Object.entries(unknown)) {
                        it(`can't tell if the metadata's ${item} is ${how}, and doesn't ask the AWS CLI`, async () => {
                            const calls = installCli(saysTrue);
                            metadata.instead = { [`/latest/meta-data/${item}`]: answer };
                            expectNoTelling(await run(shell, job), /nor the instance's id and region/);
                            expect(calls()).to.deep.equal([]);
                        });
                    }
                }
            });

            describe("when metadata doesn't say clearly", () => {
                const html = { status: 200, body: "<html>\n<p>true</p>\n</html>" };
                const tagPath = `${tagsPath}/app:isLeader`;
                const faults: Record<string, [Record<string, string> | undefined, string, Answer, RegExp]> = {
                    "the token is refused with 403": [leaderTags, tokenPath, { status: 403 }, /403/],
                    "the token is refused with 401": [leaderTags, tokenPath, { status: 401 }, /401/],
                    "there are no tokens": [leaderTags, tokenPath, { status: 404 }, /no token/],
                    "the token is empty": [leaderTags, tokenPath, { status: 200 }, /no token/],
                    "the token is a page": [leaderTags, tokenPath, html, /no proper token/],
                    "asking for a token fails": [leaderTags, tokenPath, { status: 500, body: token }, /500/],
                    "the token breaks off": [leaderTags, tokenPath, "breaks", /no answer/],
                    "the tag is refused with 401": [leaderTags, tagPath, { status: 401 }, /401/],
                    "the tag is refused with 403": [leaderTags, tagPath, { status: 403 }, /403/],
                    "asking for the tag fails": [leaderTags, tagPath, { status: 500, body: "true" }, /500/],
                    "the tag is elsewhere": [
                        leaderTags,
                        tagPath,
                        { status: 302, headers: { location: `${tagsPath}/aws:autoscaling:groupName` } },
                        /302/,
                    ],
                    "the tag breaks off": [leaderTags, tagPath, "breaks", /no answer/],
                    "the tag is a page": [leaderTags, tagPath, html, /app:isLeader is no tag's value/],
                    "the tag has several lines": [
                        leaderTags,
                        tagPath,
                        { status: 200, body: "true\ntrue" },
                        /app:isLeader is no tag's value/,
                    ],
                    "asking for the list of tags fails": [followerTags, tagsPath, { status: 503 }, /503/],
                    "the list of tags breaks off": [followerTags, tagsPath, "breaks", /no answer/],
                };
                for (const [what, [tags, path, answer, reason]] of Object.entries(faults)) {
                    it(`can't tell if ${what}, and runs nothing`, async () => {
                        const calls = installCli(saysTrue);
                        await launch(tags, { [path]: answer });
                        expectNoTelling(await run(shell, job), reason);
                        expectNoTelling(await run(shell, ["--strict", ...job]), reason);
                        expectNoTelling(await run(shell, ["--since"]), reason);
                        expect(metadata.paths.filter((asked) => asked === path)).to.have.length(3);
                        expect(calls()).to.deep.equal([]);
                    });
                }

                it("can't tell if nobody listens there", async () => {
                    metadata.stop();
                    expectNoTelling(await run(shell, job), /no answer from instance metadata/);
                });

                it("can't tell if there is no curl", async () => {
                    const withoutCurl = mkdtempSync(join(directory, "tools-"));
                    symlinkSync(join(tools, "echo"), join(withoutCurl, "echo"));
                    expectNoTelling(await run(shell, job, { env: { PATH: withoutCurl } }), /curl is not installed/);
                });
            });

            describe("runs the command so that", () => {
                it("its arguments stay what they are", async () => {
                    const args = [
                        "",
                        " ",
                        "a  b",
                        "it's",
                        'say "x"',
                        "$HOME",
                        "`id`",
                        "*",
                        "\\n",
                        "a\nb",
                        "--strict",
                        "--",
                    ];
                    const { stdout } = await run(shell, [
                        "sh",
                        "-c",
                        'for one; do printf "%s\\0" "$one"; done',
                        "job",
                        ...args,
                    ]);
                    expect(stdout.split("\0").slice(0, -1)).to.deep.equal(args);
                });

                for (const status of [0, 1, 2, 7, 255]) {
                    it(`its exit status ${status} is the script's`, async () => {
                        const outcome = await run(shell, ["--strict", "sh", "-c", `echo ran; exit ${status}`]);
                        expect(outcome).to.deep.include({ status, stdout: "ran\n", stderr: "" });
                    });
                }

                it("it takes the script's place, and gets its signals", async () => {
                    const { stdout, pid, signal } = await run(shell, ["sh", "-c", "echo $$; kill -TERM $$; sleep 5"]);
                    expect({ stdout, signal }).to.deep.equal({ stdout: `${pid}\n`, signal: "SIGTERM" });
                });

                it("it reads all of the script's input", async () => {
                    const input = "first line\nsecond line\n".repeat(10000);
                    expect((await run(shell, ["cat"], { input })).stdout).to.equal(input);
                });

                it("the input is also there if the AWS CLI was asked", async () => {
                    await launch(undefined);
                    installCli("cat; printf 'true\\tNone\\n'");
                    expect((await run(shell, ["cat"], { input: "first line\n" })).stdout).to.equal("first line\n");
                });

                it("its environment is the script's, whatever the names in it", async () => {
                    const names = readFileSync(script, "utf8").match(/\b[a-z]\w*(?==)/g) as string[];
                    expect(names).to.include.members(["token", "value", "since", "endpoint"]);
                    const env = {
                        ...Object.fromEntries([...names, "tag", "key"].map((name) => [name, "the caller's"])),
                        LEADER_TAG: "shop:primary",
                        LC_ALL: "C.UTF-8",
                        AWS_PAGER: "less",
                    };
                    for (const name of names.filter((name) => name.startsWith("leader_only_"))) {
                        Reflect.deleteProperty(env, name); // the script's own
                    }
                    const { stdout } = await run(shell, ["--tag", "app:isLeader", "env"], { env });
                    const seen = Object.fromEntries(
                        stdout
                            .trimEnd()
                            .split("\n")
                            .map((line) => line.split(/=(.*)/s)),
                    );
                    expect(seen).to.deep.include({ ...environment(metadata), ...env });
                    const added = Object.keys(seen).filter((name) => !(name in { ...environment(metadata), ...env }));
                    expect(["PWD", "OLDPWD", "SHLVL", "_"], "what a shell adds itself").to.include.members(added);
                });

                it("one that doesn't exist is the shell's error 127", async () => {
                    const { status, stderr } = await run(shell, ["no-such-command"]);
                    expect(status).to.equal(127);
                    expect(stderr).to.match(/no-such-command.*not found/);
                });
            });

            describe("with --since", () => {
                it("prints since when this instance leads", async () => {
                    const printed = { status: 0, stdout: `${since}\n`, stderr: "" };
                    expect(await run(shell, ["--since"])).to.deep.include(printed);
                    expect(await run(shell, ["--strict", "--since"])).to.deep.include(printed);
                });

                it("looks beside the tag it is told", async () => {
                    await launch({ "shop:primary": "true", "shop:primary:since": "2024-01-01T00:00:00.000Z" });
                    const { stdout } = await run(shell, ["--since", "--tag", "shop:primary"]);
                    expect(stdout).to.equal("2024-01-01T00:00:00.000Z\n");
                });

                it("prints nothing if this instance doesn't lead, though it has a since", async () => {
                    await launch({ ...leaderTags, "app:isLeader": "false" });
                    expect(await run(shell, ["--since"])).to.deep.include(leftAloneSilently);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAlone);
                });

                it("prints nothing for a leader without a since, even with --strict", async () => {
                    await launch({ ...groupTag, "app:isLeader": "true" });
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAloneSilently);
                });

                it("takes it from the AWS CLI if metadata has no tags", async () => {
                    await launch(undefined);
                    installCli(saysSince);
                    expect(await run(shell, ["--since"])).to.deep.include({
                        status: 0,
                        stdout: `${since}\n`,
                        stderr: "",
                    });
                    installCli(saysTrue);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAloneSilently);
                    installCli(`printf 'None\\t${since}\\n'`);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAlone);
                });

                it("can't tell if only the since can't be had, which matters to no command", async () => {
                    metadata.instead = { [`${tagsPath}/app:isLeader:since`]: { status: 500 } };
                    expectNoTelling(await run(shell, ["--since"]), /500/);
                    expect(await run(shell, job)).to.deep.include(ran);
                    metadata.instead = { [`${tagsPath}/app:isLeader:since`]: { status: 200, body: "\u001b[1mnow" } };
                    expectNoTelling(await run(shell, ["--since"]), /app:isLeader:since is no tag's value/);
                    expect(await run(shell, job)).to.deep.include(ran);
                });
            });

            describe("takes options", () => {
                it("up to the command or to --, in any order", async () => {
                    await launch({ ...leaderTags, other: "true", "app:isLeader": "false" });
                    expect(await run(shell, ["--tag", "other", "--strict", "--", ...job])).to.deep.include(ran);
                    expect(await run(shell, ["--strict", "--tag", "other", ...job])).to.deep.include(ran);
                    expect(await run(shell, ["--strict", "--", ...job])).to.deep.include(leftAlone);
                    expect((await run(shell, ["--tag", "other", "echo", "--since"])).stdout).to.equal("--since\n");
                });

                it("and says with --help what they are", async () => {
                    const { status, stdout, stderr } = await run(shell, ["--help"]);
                    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
                    for (const word of ["leader-only", "--tag KEY", "--strict", "--since", "Exit status"]) {
                        expect(stdout).to.include(word);
                    }
                    expect(stdout).to.not.match(/^#|\w\(\)/m);
                    expect(metadata.paths).to.deep.equal([]);
                });

                const wrong: Record<string, [string[], RegExp]> = {
                    "no command": [[], /there is no command/],
                    "options, but no command": [["--strict", "--tag", "app:isLeader"], /there is no command/],
                    "no command after --": [["--"], /there is no command/],
                    "an unknown option": [["--leader", ...job], /unknown option --leader/],
                    "an unknown short option": [["-s", ...job], /unknown option -s/],
                    "--tag without a key": [["--tag"], /--tag needs a key/],
                    "--since and a command": [["--since", ...job], /--since runs no command/],
                };
                for (const [what, [args, reason]] of Object.entries(wrong)) {
                    it(`but shows the usage for ${what}`, async () => {
                        const outcome = await run(shell, args);
                        expectWrongUsage(outcome, reason);
                        expect(outcome.stderr).to.include("leader-only [--tag KEY]");
                    });
                }

                const badKeys = [
                    "a b",
                    "a/b",
                    "../../user-data",
                    "a\n",
                    "a?",
                    "a*",
                    "a#",
                    "a%20",
                    "a'",
                    'a"',
                    "a\\",
                    "$(id)",
                ];
                for (const key of [...badKeys, "`id`", "{a,b}", "[a]", "ä", ".", "..", "_index"]) {
                    it(`but refuses the tag key ${JSON.stringify(key)}`, async () => {
                        expectWrongUsage(await run(shell, ["--tag", key, ...job]), /tag key/);
                        const env = { LEADER_TAG: key, LC_ALL: "C.UTF-8" };
                        expectWrongUsage(await run(shell, job, { env }), /tag key/);
                    });
                }

                it("but refuses an empty tag key", async () => {
                    expectWrongUsage(await run(shell, ["--tag", "", ...job]), /tag key/);
                });
            });
        });
    }

    // Each of these takes three seconds, so they wait together.
    describe("gives up within 3 seconds, and runs nothing,", () => {
        interface Case {
            tags?: Record<string, string>;
            change?: (service: Metadata) => void;
            cli?: string;
            reason: RegExp;
            others?: RegExp;
        }
        const cases: Record<string, Case> = {
            "if metadata gives no token": {
                tags: leaderTags,
                change: (service) => {
                    service.instead = { [tokenPath]: "hangs" };
                },
                reason: /no answer from instance metadata/,
            },
            "if metadata gives no tag": {
                tags: leaderTags,
                change: (service) => {
                    service.instead = { [`${tagsPath}/app:isLeader`]: "hangs" };
                },
                reason: /no answer from instance metadata/,
            },
            "if metadata takes its time, and then gives nothing": {
                change: (service) => {
                    service.millisecondsForAnAnswer = 900;
                    service.instead = { [tagsPath]: "hangs" };
                },
                reason: /no answer from instance metadata/,
            },
            "if the AWS CLI hangs": {
                cli: `sleep 30; ${saysTrue}`,
                reason: /the AWS CLI failed/,
            },
            "if the AWS CLI hangs and won't end": {
                cli: `trap '' TERM; sleep 30; sleep 30; ${saysTrue}`,
                reason: /the AWS CLI failed/,
                others: /^(Killed\n)?$/, // dash's own remark
            },
        };
        const outcomes = new Map<string, Outcome>();

        before(async () => {
            const runs = Object.entries(cases).flatMap(([what, { tags, change = () => {}, cli = saysTrue }]) =>
                shells.map(async (shell) => {
                    const from = await serve(tags);
                    change(from);
                    installCli(cli);
                    outcomes.set(`${what} ${shell}`, await run(shell, job, { from }));
                }),
            );
            await Promise.all(runs);
        });

        for (const [what, { reason, others }] of Object.entries(cases)) {
            for (const shell of shells) {
                it(`${what}, under ${shell}`, () => {
                    const outcome = outcomes.get(`${what} ${shell}`) as Outcome;
                    expectNoTelling(outcome, reason, others);
                    expect(outcome.seconds).to.be.within(2, 4); // it waited, and no longer than it may
                });
            }
        }
    });

    it("can be started as it is, without naming a shell", async () => {
        expect(statSync(script).mode & 0o777).to.equal(0o755);
        const child = spawn(script, ["--strict", ...job], { env: environment(metadata) });
        expect(await text(child.stdout)).to.equal(ran.stdout);
    });

    it("pleases shellcheck as a POSIX shell script", function () {
        insist(this, "shellcheck");
        const { status, stdout } = spawnSync(find("shellcheck") as string, ["--shell=sh", script], {
            encoding: "utf8",
        });
        expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
    });
});
