// What keeps leader-only from running a command: an instance about to leave, and answers that take too long.
// And --check, which says what it finds.
import { spawn, spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import {
    expectUnknown,
    find,
    insist,
    job,
    leftAlone,
    leftAloneSilently,
    type Outcome,
    ran,
    rowsFor,
    saysTrue,
    script,
    shells,
    useMachine,
} from "./machine";
import { followerTags, leaderTagPath, leaderTags, lifecyclePath, type Metadata, tagsPath, tokenPath } from "./metadata";

describe("leader-only runs nothing", function () {
    this.timeout(60000);

    const machine = useMachine(leaderTags);

    for (const shell of Object.keys(shells)) {
        describe(`under ${shell}, on a leader that is about to leave its group`, () => {
            const row = rowsFor(shell);
            for (const lifecycle of ["Terminated", "Standby", "Detached", "Warmed:Stopped", "Warmed:Running"]) {
                row(`for ${lifecycle}`, async () => {
                    machine.metadata.lifecycle = lifecycle;
                    expect(await machine.run(shell, job)).to.deep.include(leftAloneSilently);
                    expect(await machine.run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
                    expect(await machine.run(shell, ["--since"])).to.deep.include(leftAloneSilently);
                });
            }

            it("but does where there is no such state: outside a group, after a live migration", async () => {
                machine.metadata.lifecycle = undefined;
                expect(await machine.run(shell, ["--strict", ...job])).to.deep.include(ran);
            });

            it("also if the tag came from the AWS CLI", async () => {
                await machine.launch(undefined);
                machine.installCli(saysTrue);
                machine.metadata.lifecycle = "Terminated";
                expect(await machine.run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
            });

            for (const body of ["", "<html>InService</html>", "InService\nTerminated"]) {
                row(`and can't find out from the state ${JSON.stringify(body)}`, async () => {
                    machine.metadata.instead = { [lifecyclePath]: { status: 200, body } };
                    expectUnknown(await machine.run(shell, job), /no lifecycle state/);
                });
            }

            it("and can't find out if only the state fails, unless the tag says that it doesn't lead", async () => {
                machine.metadata.instead = { [lifecyclePath]: { status: 500 } };
                expectUnknown(await machine.run(shell, job), /HTTP status 500 \(autoscaling\/target-lifecycle-state\)/);
                machine.metadata.tags = followerTags;
                expect(await machine.run(shell, ["--strict", ...job])).to.deep.include(leftAlone);
            });
        });

        describe(`under ${shell}, with --check,`, () => {
            const check = async (...args: string[]) => {
                const { status, stdout, stderr } = await machine.run(shell, ["--check", ...args]);
                expect(stderr).to.equal("");
                return { status, lines: stdout.trimEnd().split("\n") };
            };

            it("but says of a leader that it would", async () => {
                const { status, lines } = await check(...job);
                expect(status).to.equal(0);
                expect(lines).to.include.members([
                    `instance metadata: ${machine.metadata.endpoint}`,
                    "instance: i-0123456789abcdef0",
                    "metadata shows tags: yes",
                    "Auto Scaling group: awseb-e-shop",
                    "app:isLeader: true",
                    "target-lifecycle-state: InService",
                ]);
                expect(lines.at(-1)).to.equal("so: would run echo the job ran");
                expect((await check("--while", "worker")).lines.at(-1)).to.equal("so: would start worker");
                expect((await check()).lines.at(-1)).to.equal("so: would run");
            });

            it("says that the tag is missing, and why that may be", async () => {
                machine.metadata.tags = followerTags;
                const { status, lines } = await check("worker");
                expect(status).to.equal(1);
                expect(lines).to.include.members([
                    "metadata shows tags: yes",
                    "app:isLeader: missing on this instance",
                ]);
                expect(lines.join("\n")).to.match(/another instance leads.*another tagKey.*\n.*no stack.*asgPrefix/);
                expect(lines.at(-1)).to.equal("so: would not run worker (app:isLeader is missing on this instance)");
            });

            it("names the key by which this instance has led", async () => {
                machine.metadata.tags = { ...followerTags, "shop:primary": "true", "shop:primary:since": "2026" };
                const { lines } = await check();
                expect(lines).to.include("This instance has led by another key: shop:primary");
            });

            it("says that an instance is in no group", async () => {
                machine.metadata.tags = { Name: "by hand" };
                expect((await check()).lines).to.include("Auto Scaling group: none (no tag aws:autoscaling:groupName)");
            });

            it("says that an instance is about to leave", async () => {
                machine.metadata.lifecycle = "Terminated";
                const { status, lines } = await check("worker");
                expect(status).to.equal(1);
                expect(lines.at(-1)).to.equal(
                    "so: would not run worker (this instance is about to leave its group (target-lifecycle-state is Terminated))",
                );
            });

            it("says that tags aren't shown", async () => {
                await machine.launch(undefined);
                const { status, lines } = await check("worker");
                expect(status).to.equal(2);
                expect(lines.join("\n")).to.match(/metadata shows tags: no \(InstanceMetadataTags is not enabled\)/);
                expect(lines.at(-1)).to.match(
                    /^so: would not run worker, because it can't find out \(.*not installed\)$/,
                );
                machine.installCli(saysTrue);
                expect((await check("worker")).lines.at(-1)).to.equal("so: would run worker");
            });

            it("says that metadata doesn't answer", async () => {
                machine.metadata.stop();
                const { status, lines } = await check();
                expect(status).to.equal(2);
                expect(lines.at(-1)).to.match(/because it can't find out \(no answer from instance metadata/);
            });
        });
    }

    // Each of these takes its time, so they wait together.
    describe("beyond its limit:", () => {
        interface Case {
            tags?: Record<string, string>;
            change?: (service: Metadata) => void;
            cli?: string;
            args?: string[];
            reason: RegExp;
            others?: RegExp;
            limit?: number;
        }
        const hang = (path: string) => (service: Metadata) => {
            service.instead = { [path]: "hangs" };
        };
        const cases: Record<string, Case> = {
            "metadata gives no token": {
                tags: leaderTags,
                change: hang(tokenPath),
                reason: /no answer from instance metadata within 2.70 s/,
            },
            "metadata gives no tag": {
                tags: leaderTags,
                change: hang(leaderTagPath),
                args: ["--wait", "1"],
                limit: 1,
                reason: /no answer from instance metadata within 0.90 s/,
            },
            "metadata gives no lifecycle state": {
                tags: leaderTags,
                change: hang(lifecyclePath),
                args: ["--wait=1"],
                limit: 1,
                reason: /no answer from instance metadata/,
            },
            "metadata takes its time, and then gives nothing": {
                change: (service) => {
                    hang(tagsPath)(service);
                    service.millisecondsForAnAnswer = 400;
                },
                reason: /no answer from instance metadata/,
            },
            "the AWS CLI hangs": {
                cli: `sleep 30; ${saysTrue}`,
                reason: /shows no tags, and the AWS CLI gave no answer within 2.70 s; --wait SECONDS allows it more/,
            },
            "the AWS CLI hangs and won't end": {
                cli: `trap '' TERM; sleep 30; sleep 30; ${saysTrue}`,
                args: ["--wait", "6"],
                limit: 6,
                reason: /the AWS CLI gave no answer/,
                others: /^(Killed\n)?$/, // dash's own remark
            },
        };
        const outcomes = new Map<string, Outcome>();

        before(async () => {
            await machine.launch(undefined);
            const runs = Object.entries(cases).flatMap(
                ([what, { tags, change = () => {}, cli = saysTrue, args = [] }]) =>
                    Object.keys(shells).map(async (shell) => {
                        const from = await machine.serve(tags);
                        change(from);
                        machine.installCli(cli);
                        outcomes.set(`${what} ${shell}`, await machine.run(shell, [...args, ...job], { from }));
                    }),
            );
            await Promise.all(runs);
        });

        for (const [what, { reason, others, limit = 3 }] of Object.entries(cases)) {
            for (const shell of Object.keys(shells)) {
                it(`${what}, under ${shell}`, () => {
                    const outcome = outcomes.get(`${what} ${shell}`) as Outcome;
                    expectUnknown(outcome, reason, others);
                    expect(outcome.seconds, "it waited").to.be.above(limit * 0.8);
                });
            }
        }

        it("--wait allows a slow AWS CLI more", async () => {
            await machine.launch(undefined);
            machine.installCli(`sleep 3; ${saysTrue}`);
            expect(await machine.run("dash", ["--wait", "20", ...job])).to.deep.include(ran);
        });
    });

    it("but can be started as it is, without naming a shell", async () => {
        expect(statSync(script).mode & 0o777).to.equal(0o755);
        const child = spawn(script, ["--strict", ...job], { env: machine.environment() });
        expect(await text(child.stdout)).to.equal(ran.stdout);
    });

    it("that shellcheck finds fault with, as a POSIX shell script", function () {
        insist(this, "shellcheck");
        const { status, stdout } = spawnSync(find("shellcheck") as string, ["--shell=sh", script], {
            encoding: "utf8",
        });
        expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
    });
});
