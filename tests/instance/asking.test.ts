// How leader-only finds out whether its instance leads: through instance metadata, or else the AWS CLI.
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { optionsOf } from "../integration/readme/document";
import { only } from "../simulator/lists";
import {
    type Answer,
    followerTags,
    groupTag,
    instanceId,
    leaderTagPath,
    leaderTags,
    lifecyclePath,
    Metadata,
    region,
    since,
    tagsPath,
    tokenPath,
} from "../simulator/metadata";
import { expectUnknown, job, leftAlone, leftAloneSilently, ran, saysTrue, underEachShell } from "./machine";

underEachShell("leader-only asks", leaderTags, (machine, row) => {
    const { launch, serve, run, installCli } = machine;

    const saysSince = `printf 'true\\t${since}\\n'`;

    describe("with tags in the instance's metadata", () => {
        it("runs the command on the leader, by one token and one process over one connection", async () => {
            expect(await run(job)).to.deep.include(ran);
            expect(machine.metadata.paths).to.deep.equal([tokenPath, leaderTagPath, tagsPath, lifecyclePath]);
            expect(machine.metadata.connections).to.equal(2);
        });

        it("leaves the command alone, silently, on an instance that has other tags; with --strict its status says so", async () => {
            await launch(followerTags);
            expect(await run(job)).to.deep.include(leftAloneSilently);
            expect(machine.metadata.paths).to.deep.equal([tokenPath, leaderTagPath, tagsPath, lifecyclePath]);
            expect(await run(["--strict", ...job])).to.deep.include(leftAlone);
        });

        const others = ["false", "", "yes", "1", " true", "true ", "truely", "untrue", "None"];
        for (const value of ["True", "TRUE", "tRuE", ...others]) {
            const leads = !others.includes(value);
            row(`${leads ? "takes" : "doesn't take"} ${JSON.stringify(value)} for the leader's`, async () => {
                await launch({ ...leaderTags, "app:isLeader": value });
                expect(await run(["--strict", ...job])).to.deep.include(leads ? ran : leftAlone);
            });
        }

        it("goes through no proxy, and minds no curl configuration", async () => {
            const proxy = await serve(followerTags);
            const home = mkdtempSync(join(machine.directory, "home-"));
            writeFileSync(join(home, ".curlrc"), `proxy = ${proxy.endpoint}\ninclude\n`);
            const env = { HOME: home, http_proxy: proxy.endpoint, ALL_PROXY: proxy.endpoint, no_proxy: "" };
            expect(await run(job, { env })).to.deep.include(ran);
            expect(proxy.paths).to.deep.equal([]);
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
            row(`looks at it, when told ${how}`, async () => {
                await launch(tags);
                expect(await run(["--strict", ...args, ...job], { env })).to.deep.include(ran);
                expect(await run(["--strict", ...job])).to.deep.include(leftAlone);
            });
        }

        it("looks at app:isLeader if LEADER_TAG is empty", async () => {
            expect(await run(["--strict", ...job], { env: { LEADER_TAG: "" } })).to.deep.include(ran);
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
            row(`asks the AWS CLI if they ${how}`, async () => {
                machine.metadata.instead = instead;
                const calls = installCli(saysSince);
                expect(await run(["--strict", ...job])).to.deep.include(ran);
                expect(calls()).to.have.length(1);
            });
        }

        it("asks for the two tags of this instance in its region, and for one line of text", async () => {
            const calls = installCli(saysSince);
            expect(await run(["--tag", "a,b=c", ...job])).to.deep.include(ran);
            expect(only(calls()).slice(0, 2)).to.deep.equal(["ec2", "describe-tags"]);
            const filters = [
                { Name: "resource-id", Values: [instanceId] },
                { Name: "key", Values: ["a,b=c", "a,b=c:since"] },
            ];
            expect(optionsOf(["aws", ...only(calls())])).to.deep.include({
                "--region": [region],
                "--filters": [JSON.stringify(filters)],
                "--query": ["[Tags[?Key=='a,b=c'].Value | [0], Tags[?Key=='a,b=c:since'].Value | [0]]"],
                "--output": ["text"],
            });
        });

        const followers = { "no tag": "None\\tNone\\n", nothing: "", "another value": `false\\t${since}\\n` };
        for (const [what, answer] of Object.entries(followers)) {
            row(`leaves the command alone if the AWS CLI finds ${what}`, async () => {
                const calls = installCli(`printf '${answer}'`);
                expect(await run(["--strict", ...job])).to.deep.include(leftAlone);
                expect(await run(job)).to.deep.include(leftAloneSilently);
                expect(calls()).to.have.length(2);
            });
        }

        it("can't find out if there is no AWS CLI", async () => {
            expectUnknown(await run(job), /shows no tags, and the AWS CLI is not installed/);
        });

        it("can't find out if the AWS CLI fails, whatever it printed, and shows what it complains of", async () => {
            installCli(`${saysSince}; echo UnauthorizedOperation >&2; exit 254`);
            const outcome = await run(job);
            expectUnknown(outcome, /the AWS CLI failed \(exit status 254\)/, /^UnauthorizedOperation\n$/);
        });

        for (const garbage of ["true\\tNone\\ntrue\\tNone\\n", "<true/>\\tNone\\n", "\\033[1mtrue\\tNone\\n"]) {
            row(`can't find out if the AWS CLI prints ${JSON.stringify(garbage)}`, async () => {
                installCli(`printf '${garbage}'`);
                expectUnknown(await run(job), /more than one answer|no tag's value/);
            });
        }

        const unknown: Record<string, Answer> = {
            missing: { status: 404 },
            empty: { status: 200, body: "" },
            odd: { status: 200, body: 'eu-1" --endpoint-url "http://example.com' },
        };
        for (const item of ["instance-id", "placement/region"]) {
            for (const [how, answer] of Object.entries(unknown)) {
                row(`can't find out if the metadata's ${item} is ${how}, and doesn't ask the AWS CLI`, async () => {
                    const calls = installCli(saysTrue);
                    machine.metadata.instead = { [`/latest/meta-data/${item}`]: answer };
                    expectUnknown(await run(job), /nor the instance's id and region/);
                    expect(calls()).to.deep.equal([]);
                });
            }
        }
    });

    describe("when metadata doesn't say clearly", () => {
        const html = { status: 200, body: "<html>\n<p>true</p>\n</html>" };
        const two = { status: 200, body: "true\ntrue" };
        const moved = { status: 302, headers: { location: `${tagsPath}/aws:autoscaling:groupName` } };
        const faults: [string, string, Answer, RegExp][] = [
            ["the token is refused with 403", tokenPath, { status: 403 }, /403/],
            ["the token is refused with 401", tokenPath, { status: 401 }, /401/],
            ["there are no tokens", tokenPath, { status: 404 }, /no proper token/],
            ["the token is empty", tokenPath, { status: 200 }, /no proper token/],
            ["the token is a page", tokenPath, html, /no proper token/],
            ["the tag is refused with 401", leaderTagPath, { status: 401 }, /401/],
            ["the tag is refused with 403", leaderTagPath, { status: 403 }, /403/],
            ["the tag is elsewhere", leaderTagPath, moved, /302/],
            ["the tag is a page", leaderTagPath, html, /app:isLeader is no tag's value/],
            ["the tag has several lines", leaderTagPath, two, /app:isLeader is no tag's value/],
            ["the list of tags is refused with 403", tagsPath, { status: 403 }, /403/],
        ];
        for (const [what, path, answer, reason] of faults) {
            row(`can't find out if ${what}, asks once, and runs nothing`, async () => {
                const calls = installCli(saysTrue);
                await launch(leaderTags, { [path]: answer });
                expectUnknown(await run(job), reason);
                expectUnknown(await run(["--strict", ...job]), reason);
                expectUnknown(await run(["--since"]), reason);
                expect(machine.metadata.paths.filter((asked) => asked === path)).to.have.length(3);
                expect(calls()).to.deep.equal([]);
            });
        }

        const troubles: [Answer, RegExp][] = [
            [{ status: 429 }, /HTTP status 429/],
            [{ status: 500, body: "true" }, /HTTP status 500/],
            [{ status: 503 }, /HTTP status 503/],
            ["breaks", /curl's exit status is 18/],
            ["resets", /curl's exit status is (52|56)/],
            ["hangs", /it is silent/],
            [{ status: 200, body: "x".repeat(200_000) }, /curl's exit status is 63|too long/],
        ];
        for (const path of [tokenPath, leaderTagPath, lifecyclePath]) {
            /** An instance whose metadata has this trouble with the path so many times; `asked` counts the requests for it. */
            const troubled = async (answer: Answer, times: number) => {
                const from = await serve(leaderTags);
                Object.assign(from, { instead: { [path]: answer }, troubles: times });
                return { from, asked: () => from.paths.filter((asked) => asked === path).length };
            };

            row(`asks again until --wait is over if ${path} is refused for load, breaks off or hangs`, async () => {
                const tries = troubles.map(async ([answer, reason]) => {
                    const { from, asked } = await troubled(answer, Number.POSITIVE_INFINITY);
                    expectUnknown(await run(["--wait=2", ...job], { from }), reason);
                    expect(asked(), String(reason)).to.be.above(1);
                });
                await Promise.all(tries);
            });

            row(`runs the command if ${path} is well again within --wait`, async () => {
                const tries = troubles.map(async ([answer, reason]) => {
                    // A request that hangs takes a third of the time.
                    const [times, wait] = answer === "hangs" ? [1, 6] : [2, 30];
                    const { from, asked } = await troubled(answer, times);
                    expect(await run([`--wait=${wait}`, ...job], { from }), String(reason)).to.deep.include(ran);
                    expect(asked(), String(reason)).to.equal(times + 1);
                });
                await Promise.all(tries);
            });
        }

        it("asks again if nothing listens there yet", async () => {
            const { port } = new URL(machine.metadata.endpoint);
            machine.metadata.stop();
            const outcome = run(["--wait=60", ...job]);
            await sleep(500);
            const later = await Metadata.start(leaderTags, Number(port));
            expect(await outcome).to.deep.include(ran);
            later.stop();
        });

        it("can't find out if there is no curl", async () => {
            const PATH = machine.folderWith("echo");
            expectUnknown(await run(job, { env: { PATH } }), /curl is not installed/);
        });
    });
});
