//! The loan application as a saga: states, table, actions, and the activities of the log as events.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "loan-application", version = 1, data(Application), actions(LoanActions))]
#[initially(when(Submitted, run(submit), transition_to(Received)))]
#[during_any(
    when(Declined, transition_to(DeclinedByBank)),
    when(Cancelled, transition_to(CancelledByCustomer)),
    when(OfferCreated, run(count), stay),
    ignore(
        PartlySubmitted,
        OfferSelected,
        OfferSent,
        OfferReturned,
        OfferAccepted,
        OfferDeclined,
        OfferCancelled
    )
)]
#[unhandled(reject)]
pub enum LoanState {
    #[during(when(PreAccepted, transition_to(Assessed)), when(Accepted, transition_to(Eligible)))]
    Received,
    #[during(when(Accepted, transition_to(Eligible)))]
    Assessed,
    #[during(
        when(Finalized, transition_to(Offering)),
        when_all(Approved, Registered, Activated, transition_to(Paid))
    )]
    Eligible,
    #[during(when_all(Approved, Registered, Activated, transition_to(Paid)))]
    Offering,

    #[terminal]
    Paid,
    #[terminal(failure)]
    DeclinedByBank,
    #[terminal(failure)]
    CancelledByCustomer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    pub offers: u32,
}

impl LoanActions for Application {
    fn submit(_: &Submitted, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { offers: 0 })
    }

    fn count(&mut self, _: &OfferCreated, _: &mut Context) -> ActionResult<()> {
        self.offers += 1;
        Ok(())
    }
}

/// The events, and publishing one by the name of its activity.
macro_rules! activities {
    ($($name:ident $activity:literal)*) => {
        $(
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $activity, key(case))]
            pub struct $name {
                pub case: String,
            }
        )*

        /// Publishes what the log calls `activity`; `None` when the saga does not model it.
        pub async fn publish(
            dispatcher: &saga::Dispatcher,
            id: saga::MessageId,
            activity: &str,
            case: String,
        ) -> Option<Result<saga::Receipt, saga::error::PublishError>> {
            Some(match activity {
                $($activity => dispatcher.publish_as(id, $name { case }).await,)*
                _ => return None,
            })
        }
    };
}
activities! {
    Submitted "A_SUBMITTED"
    PartlySubmitted "A_PARTLYSUBMITTED"
    PreAccepted "A_PREACCEPTED"
    Accepted "A_ACCEPTED"
    Finalized "A_FINALIZED"
    Approved "A_APPROVED"
    Registered "A_REGISTERED"
    Activated "A_ACTIVATED"
    Declined "A_DECLINED"
    Cancelled "A_CANCELLED"
    OfferSelected "O_SELECTED"
    OfferCreated "O_CREATED"
    OfferSent "O_SENT"
    OfferReturned "O_SENT_BACK"
    OfferAccepted "O_ACCEPTED"
    OfferDeclined "O_DECLINED"
    OfferCancelled "O_CANCELLED"
}

#[cfg(test)]
mod tests {
    use saga::testing::Given;

    use super::*;
    use saga::IgnoredReason;

    fn case() -> String {
        "1".to_owned()
    }

    fn eligible() -> Given<LoanState> {
        Given::started(Submitted { case: case() })
            .when(PreAccepted { case: case() })
            .when(Accepted { case: case() })
    }

    #[test]
    fn approved_registered_and_activated_in_any_order_is_paid() {
        let loan = eligible().when(Finalized { case: case() }).when(Activated { case: case() });
        let loan = loan.when(Approved { case: case() });
        assert_eq!(loan.state(), &LoanState::Offering);
        assert_eq!(loan.when(Registered { case: case() }).state(), &LoanState::Paid);
        let early = eligible().when(Registered { case: case() }).when(Finalized { case: case() });
        let early = early.when(Approved { case: case() }).when(Activated { case: case() });
        assert_eq!(early.state(), &LoanState::Paid, "one came before the offer was final");
    }

    #[test]
    fn declined_or_cancelled_ends_it_anywhere_and_what_follows_is_ignored() {
        let loan = eligible().when(Declined { case: case() });
        assert_eq!(loan.state(), &LoanState::DeclinedByBank);
        assert_eq!(loan.when(OfferDeclined { case: case() }).ignored(), Some(IgnoredReason::Ended));
        let loan = Given::<LoanState>::started(Submitted { case: case() }).when(Cancelled { case: case() });
        assert_eq!(loan.state(), &LoanState::CancelledByCustomer);
    }

    #[test]
    fn what_the_process_does_not_allow_is_rejected() {
        let loan = Given::<LoanState>::started(Submitted { case: case() }).when(Finalized { case: case() });
        assert_eq!(loan.dead_letters().len(), 1);
        assert_eq!(loan.state(), &LoanState::Received);
    }

    #[test]
    fn offers_are_counted() {
        let loan = eligible().when(OfferCreated { case: case() }).when(OfferCreated { case: case() });
        assert_eq!(loan.data().offers, 2);
    }
}
