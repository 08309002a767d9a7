/**
 * The family `es:…`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { activateAction } from './activate.ts'
import { clearAction } from './clear.ts'
import { createVersionAction } from './create.ts'
import { diffAction } from './diff.ts'
import { dropAction } from './drop.ts'
import { listAction } from './list.ts'
import { resetAction } from './reset.ts'
import type { Session } from './session.ts'
import { updateAction } from './update.ts'
import { verifyAction } from './verify.ts'

/** The commands on index versions. */
export function indexActions(session: Session): CommandLineAction[] {
  return [
    listAction(session),
    diffAction(session),
    createVersionAction(session),
    updateAction(session),
    activateAction(session),
    verifyAction(session),
    dropAction(session),
    clearAction(session),
    resetAction(session),
  ]
}
