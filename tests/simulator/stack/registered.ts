import { firstOf, found } from "../lists";
import type { Program } from "./program";

/** How a program wires its rules, its queue and its function together. */
export type Wiring = ReturnType<typeof wiringOf>;

interface Rule {
    name: string;
    /** The rule's name in AWS. */
    physicalName: string;
    /** In JSON. */
    eventPattern?: string;
    scheduleExpression?: string;
    /** ARN of the queue that the rule's target is. */
    targetArn: string;
    messageGroupId: string;
}

type Queue = { arn: string } & Record<"fifoQueue" | "contentBasedDeduplication", boolean> &
    Record<"visibilityTimeoutSeconds" | "messageRetentionSeconds", number>;

/** Reads the wiring off the resources that a program registered; throws if a rule has no target. */
export function wiringOf({ resources }: Program) {
    const ofType = (type: string) => resources.filter((resource) => resource.type === type);
    const { inputs: mapping } = firstOf(ofType("aws:lambda/eventSourceMapping:EventSourceMapping"));
    const { inputs: queue } = firstOf(ofType("aws:sqs/queue:Queue"));
    const { inputs: lambda } = firstOf(ofType("aws:lambda/function:Function"));
    const targets = ofType("aws:cloudwatch/eventTarget:EventTarget").map(({ inputs }) => inputs);
    const rules = ofType("aws:cloudwatch/eventRule:EventRule").map(({ name, inputs }): Rule => {
        const { eventPattern, scheduleExpression } = inputs;
        const { rule, arn, sqsTarget } = found(targets.find((one) => one.rule.startsWith(`${name}-`)));
        const { messageGroupId } = sqsTarget;
        return { name, physicalName: rule, eventPattern, scheduleExpression, targetArn: arn, messageGroupId };
    });
    return {
        rules,
        queue: { ...queue, arn: mapping.eventSourceArn } as Queue,
        batchSize: mapping.batchSize as number,
        functionTimeoutSeconds: lambda.timeout as number,
    };
}
