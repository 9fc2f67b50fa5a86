// SNS's part of the region: topics, and what was published there.
import { type Actions, limit, refuseIf } from "./faults";
import type { Region } from "./region";

/** A message as a topic's subscribers get it, with its time on the timeline. */
export type Message = { at: number; subject: string; text: string };

/** @see https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
export function snsActions(region: Region): Actions {
    return {
        "sns:Publish": ({ TopicArn, Subject, Message }) => {
            const messages = region.topics.get(TopicArn);
            refuseIf(!messages, "NotFoundException", "Topic does not exist", 404);
            limit("Message", Buffer.byteLength(Message), 256 * 1024);
            refuseIf(!/^[!-~][ -~]{0,98}$/.test(Subject), "InvalidParameterException", "Invalid parameter: Subject");
            messages?.push({ at: region.timeline.now, subject: Subject, text: Message });
            return { MessageId: "567910cd-659e-55d4-8ccb-5aaf14679dc0" };
        },
    };
}
