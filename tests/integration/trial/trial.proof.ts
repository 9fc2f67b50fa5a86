// What may happen to a trial: it is ended, refused, throttled or killed at any call, and two of them run at once. Whatever it
// is, nothing of it is left in the end, and nothing else is touched. Part of `npm run proof`.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { copyOfProgram } from "../../simulator/folder";
import { withTool } from "../../tools";
import { codeIn, Document } from "../readme/document";
import { leftover, trial, useRegion } from "./drive";

/** Plays that show a call; `untagged` shows all others. */
const playsOf: Record<string, string[]> = {
    "ec2:CreateTags": ["vetoed"],
    "ec2:StopInstances": ["stopped"],
    "ec2:TerminateInstances": ["detached"],
    "autoscaling:EnterStandby": ["standby"],
    "autoscaling:ExitStandby": ["standby", "vetoed"],
    "autoscaling:DetachInstances": ["detached"],
    "autoscaling:SetInstanceHealth": ["unhealthy"],
};
const onlyOf = (action: string) => (playsOf[action] ?? ["untagged"]).flatMap((play) => ["--only", play]);

/** Each action that the trial calls: what its README lists, but for what moto doesn't ask for, and what only failed launches need. */
const actions = codeIn(new Document("election/trial/README.md").namedList("permissions")).filter(
    (action) => /^(ec2|autoscaling):/.test(action) && !/:(RunInstances|DescribeScalingActivities)$/.test(action),
);

/** What makes a trial worth less, but stops nothing. */
const isMinor = (action: string) => action === "ec2:GetConsoleOutput";

const declareTests = () =>
    describe("npm run trial", () => {
        const region = useRegion();

        const nameIn = ({ stderr }: { stderr: string }) => stderr.match(/launch template leader-(trial-\w+)/)?.[1];

        for (const action of actions) {
            it(`is ended while it calls ${action}, and cleans up`, async () => {
                const stop = new AbortController();
                let made = false;
                region().onCall = (call) => {
                    made ||= call.action === "ec2:CreateLaunchTemplate";
                    if (call.action === action && (made || !/LaunchTemplates|Groups|Instances$|Volumes/.test(action))) {
                        stop.abort();
                    }
                };
                const ended = await trial(["--yes", ...onlyOf(action)], { signal: stop.signal });
                expect([0, 2]).to.include(ended.status); // 0: it had played everything
                expect(ended.stderr).to.match(made ? /Nothing of trial-\w+ is left/ : /Ended early/);
            });

            it(`is refused ${action}, says it in AWS's words, and leaves what it can't delete to a next run`, async () => {
                const refusal = { code: "AccessDenied", message: "an odd policy", status: 403 };
                const isEarly = /Create|Put|Subnets|InstanceType/.test(action);
                let made = false;
                region().onCall = (call) => {
                    made ||= call.action === "autoscaling:PutScheduledUpdateGroupAction";
                };
                region().instead = (call) => (call.action === action && (made || isEarly) ? refusal : undefined);
                const refused = await trial(["--yes", ...onlyOf(action)], { pace: { whole: 1000 } });
                const { status, stdout, stderr } = refused;
                expect(status, stdout).to.equal(isMinor(action) ? 0 : 2);
                expect((stdout + stderr).includes("an odd policy"), stderr).to.equal(!isMinor(action));
                region().calm();
                if (!stderr.includes("Nothing of") && nameIn(refused)) {
                    expect(stderr).to.contain("To delete it:");
                    await trial([], { answers: ["y", "n"] });
                }
            });
        }

        it("repeats each call that AWS throttles, and plays everything", async () => {
            const throttled = new Set<string>();
            region().instead = ({ action }) => {
                const isFirst = !throttled.has(action);
                throttled.add(action);
                return isFirst ? { code: "RequestLimitExceeded", message: "slower", status: 503 } : undefined;
            };
            const { status, stdout, stderr } = await trial(["--yes"]);
            expect(status, stdout + stderr).to.equal(0);
            expect([...throttled]).to.include.members(actions);
        });

        it("runs twice at once, and neither touches the other's", async () => {
            const both = await Promise.all([trial(["--yes"]), trial(["--yes"])]);
            for (const { status, stdout, stderr } of both) {
                expect(status, stdout + stderr).to.equal(0);
            }
            expect(nameIn(both[0])).to.not.equal(nameIn(both[1]));
        });

        it("with --yes deletes what is past its time, and leaves alone what may be going on", async () => {
            const before = await region().everything();
            const going = await leftover(60);
            const remains = await region().everything();
            await leftover(-1);
            const { status, stdout, stderr } = await trial(["--yes", "--only", "untagged"]);
            expect(status, stdout + stderr).to.equal(0);
            expect(await region().everything()).to.deep.equal(remains);
            expect(remains).to.include.members([...before, going.group, going.template]);
            await trial([], { answers: ["y"] });
        });

        it("says where to look if no instance leads after two sweeps", async () => {
            await region().stopElecting();
            const { status, stdout, stderr } = await trial(["--yes"], { pace: { minute: 100, late: 100 } });
            expect([status, stdout]).to.deep.equal([2, ""]);
            expect(stderr).to.contain("no instance leads, after two sweeps. Is the stack dev deployed in us-east-1");
        });

        it("says what the group says if its instances don't come", async () => {
            const why = "You have requested more vCPU capacity than your current limit";
            const activities = `<Activities><member><StatusMessage>${why}</StatusMessage></member></Activities>`;
            const result = `<DescribeScalingActivitiesResult>${activities}</DescribeScalingActivitiesResult>`;
            region().onCall = async ({ action, input: { AutoScalingGroupName } }) => {
                if (action === "autoscaling:PutScheduledUpdateGroupAction") {
                    await region().moto.autoScaling.setDesiredCapacity({ AutoScalingGroupName, DesiredCapacity: 0 });
                }
            };
            region().instead = ({ action }) =>
                action === "autoscaling:DescribeScalingActivities" ? { body: `<Answer>${result}</Answer>` } : undefined;
            const { status, stdout, stderr } = await trial(["--yes"], { pace: { whole: 100 } });
            expect([status, stdout]).to.deep.equal([2, ""]);
            expect(stderr).to.contain(`0 of 3 instances are in service: ${why}`);
        });

        it("calls a play broken and exits with 1 if no other instance leads in time", async () => {
            region().onCall = async ({ action }) => {
                if (action === "ec2:TerminateInstances") {
                    await region().stopElecting();
                }
            };
            const { status, stdout } = await trial(["--yes", "--only", "terminated", "--only", "copied"], {
                pace: { minute: 3000, late: 3000 }, // the first leader has 9 s to come
            });
            expect(status).to.equal(1);
            expect(stdout).to.match(/^terminated .* no: no successor within \d+ s$/m);
            expect(stdout).to.match(/^copied .* not tried: no calm start after terminated: no instance leads$/m);
        });

        it("keeps what it made with --keep, and the next run offers to delete it", async () => {
            const { status, stderr } = await trial(["--yes", "--keep", "--only", "untagged"]);
            expect(status).to.equal(0);
            expect(stderr).to.match(
                /Kept: the group awseb-trial-\w+, empty from .* The next run offers to delete it\.\n$/,
            );
            expect(await region().everything()).to.include(`leader-${nameIn({ stderr })}`);
            await trial([], { answers: ["y"] });
        });

        describe("as a process", () => {
            let folder: string;
            before(() => {
                folder = copyOfProgram();
                writeFileSync(join(folder, "Pulumi.dev.yaml"), "config: {}\n");
            });

            const start = (command: string, args: string[]) =>
                spawn(command, [...args, "--stack", "dev", "--yes", "--only", "untagged"], {
                    cwd: folder,
                    env: { ...process.env, AWS_ENDPOINT_URL: region().url },
                    detached: true, // a process group, as a shell makes one
                    stdio: ["ignore", "pipe", "pipe"],
                });
            const npm = () => start("npm", ["run", "trial", "--"]);
            const outcomeOf = async (child: ChildProcess) => {
                const [stdout, stderr, [code]] = await Promise.all([
                    text(child.stdout as NodeJS.ReadableStream),
                    text(child.stderr as NodeJS.ReadableStream),
                    once(child, "exit"),
                ]);
                return { stdout, stderr, code };
            };
            /** Does something when it makes the group. */
            const atGroup = (act: () => void) => {
                region().onCall = ({ action }) => {
                    if (action === "autoscaling:PutScheduledUpdateGroupAction") {
                        act();
                    }
                };
            };

            it("plays at its usual pace, and prints its report on stdout", async () => {
                const { stdout, stderr, code } = await outcomeOf(npm());
                expect(stdout, stderr).to.match(/^untagged +event: 10 s .* yes$/m);
                expect(code).to.equal(0);
            });

            for (const signal of ["SIGINT", "SIGTERM"] as const) {
                it(`cleans up after ${signal} to its process group`, async () => {
                    const child = npm();
                    atGroup(() => process.kill(-(child.pid as number), signal));
                    const { stderr, code } = await outcomeOf(child);
                    expect(stderr)
                        .to.contain(`${signal}: now it cleans up`)
                        .and.to.match(/Nothing of trial-\w+ is left/);
                    expect(code).to.not.equal(0);
                });
            }

            const node = () => start(process.execPath, ["-r", "ts-node/register", "election/trial/index.ts"]);

            it("cleans up after its output is closed, as by a pager or with its terminal", async () => {
                const child = node();
                atGroup(() => {
                    child.stdout.destroy();
                    child.stderr.destroy();
                });
                const [code] = await once(child, "exit");
                expect(region().calls.map(({ action }) => action)).to.include("autoscaling:DeleteAutoScalingGroup");
                expect(code).to.equal(2);
            });

            it("is killed, and the next run deletes what it left", async () => {
                const child = node();
                atGroup(() => child.kill("SIGKILL"));
                const killed = await outcomeOf(child);
                expect(await region().everything()).to.include(`leader-${nameIn(killed)}`);
                region().calm();
                const next = await trial(["--only", "untagged"], { answers: ["y", "y"] });
                expect(next.stderr).to.contain(`Nothing of ${nameIn(killed)} is left`);
                expect(next.status).to.equal(0);
            });
        });
    });

withTool("moto_server", declareTests);
