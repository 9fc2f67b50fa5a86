// SNS's part of the region: messages that are published to topics.
import { type Actions, awsError } from "./faults";
import type { Region } from "./region";

/** A message as a topic has it. */
export interface Message {
    topicArn: string;
    subject?: string;
    message: string;
}

/** @see https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
export function snsActions(region: Region): Actions {
    return {
        "sns:Publish": ({ TopicArn: topicArn, Subject: subject, Message: message }) => {
            if (subject !== undefined && !/^[!-~][ -~]{0,98}$/.test(subject)) {
                throw awsError("InvalidParameter", "Invalid parameter: Subject");
            }
            region.messages.push({ topicArn, subject, message });
            return { MessageId: `message-${region.messages.length}` };
        },
    };
}
