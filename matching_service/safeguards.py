"""What stops trading: the states of an account, its dead man's switch, the kill switch, the halt of all markets."""

from exchange.commands import CancelAllAfter, ChangeAccount, HaltExchange, KillSwitch, ResumeExchange
from exchange.events import AccountChanged, DeadManSet, Event, ExchangeHalted, ExchangeResumed
from matching_service import auctions
from matching_service.accounts import ACTIVE, CANCEL_ONLY, FEES, STATUSES, SUSPENDED, Account
from matching_service.canceling import cancel_all
from matching_service.endings import refused
from matching_service.state import NOT_FOUND, Copy, Refusal, State
from matching_service.timers import Kind, Timer


def examine_of_account(state: State, command: ChangeAccount | KillSwitch | CancelAllAfter) -> Copy | Refusal | None:
    """Say whether the request was done before, or there is no such account; the one of the fees is nobody's."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    return None if command.account_id in state.accounts.by_id and command.account_id != FEES else NOT_FOUND


def examine_of_exchange(state: State, command: HaltExchange | ResumeExchange) -> Copy | None:
    """Say whether the request was done before."""
    return state.copy_of_request(command.request_id)


def change_account(state: State, command: ChangeAccount) -> list[Event]:
    """Let an account do from now on what its status allows; its open orders stay."""
    state.remember(command.request_id)
    return [_set_status(state, state.accounts.by_id[command.account_id], command.status)]


def kill(state: State, command: KillSwitch) -> list[Event]:
    """Cancel every open order of an account, and let it only cancel, or not even that, where it may not now."""
    state.remember(command.request_id)
    account = state.accounts.by_id[command.account_id]
    changed = _set_status(state, account, CANCEL_ONLY if account.status == ACTIVE else account.status)
    return [changed, *cancel_all(state, command.account_id, "kill_switch")]


def cancel_all_after(state: State, command: CancelAllAfter) -> list[Event]:
    """Set the time at which the account's open orders are canceled, unless it is set again before; 0 ms is never."""
    assert command.timeout_ms >= 0
    state.remember(command.request_id)
    account = state.accounts.by_id[command.account_id]
    if account.status == SUSPENDED:
        return [refused("account.suspended")]
    return [_set_deadline(state, account, state.time + command.timeout_ms * 1000 if command.timeout_ms else None)]


def fire_dead_man(state: State, account_id: str) -> list[Event]:
    """Cancel every open order of an account that was not heard of in time."""
    account = state.accounts.by_id[account_id]
    if account.dead_man_deadline is None or account.dead_man_deadline > state.time:
        return []
    return [_set_deadline(state, account, None), *cancel_all(state, account_id, "dead_man")]


def follow_dead_man(state: State, account: Account) -> None:
    """Keep the deadline of an account among the timers."""
    if account.dead_man_deadline is not None:
        state.timers.arm(_timer(account, account.dead_man_deadline))


def halt_exchange(state: State, command: HaltExchange) -> list[Event]:
    """Halt every market."""
    state.remember(command.request_id)
    return [ExchangeHalted(), *auctions.halt(state)]


def resume_exchange(state: State, command: ResumeExchange) -> list[Event]:
    """Put every market back to what it was."""
    state.remember(command.request_id)
    return [ExchangeResumed(), *auctions.resume(state)]


def _timer(account: Account, deadline: int) -> Timer:
    return Timer(deadline, Kind.DEAD_MAN, account.created_sequence, account.account_id)


def _set_status(state: State, account: Account, status: str) -> AccountChanged:
    assert status in STATUSES
    account.status = status
    state.changed_accounts[account] = None
    for market in state.markets.values():
        trader = market.traders.get(account.account_id)
        if trader is not None:
            trader.follow(status)
    return AccountChanged(account.account_id, status)


def _set_deadline(state: State, account: Account, deadline: int | None) -> DeadManSet:
    if account.dead_man_deadline is not None:
        state.timers.disarm(_timer(account, account.dead_man_deadline))
    account.dead_man_deadline = deadline
    follow_dead_man(state, account)
    state.changed_accounts[account] = None
    return DeadManSet(account.account_id, deadline)
